//! Option tables: the one source of a module's validation, documentation and stubs.

use crate::{Failure, Object, Outcome, params};
use serde::de::DeserializeOwned;

/// The type of an option, in Ansible's terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text. Numbers and booleans are converted, as AnsibleModule does.
    Str,
    /// A whole number; text of digits is accepted.
    Int,
    /// A number; text is accepted.
    Float,
    /// `yes`, `on`, `1`, `true`, `t`, `y` and their opposites are accepted.
    Bool,
    /// A file name; `~` and `$VARIABLE` are expanded.
    Path,
    /// A mapping; JSON text and `k=v, k=v` are accepted.
    Dict,
    /// A sequence of unspecified elements; `a,b` and single values are accepted.
    List(&'static Kind),
    /// Any value, passed on unchanged.
    Raw,
}

impl Kind {
    /// The name Ansible's documentation uses for the type.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Str => "str",
            Self::Int => "int",
            Self::Float => "float",
            Self::Bool => "bool",
            Self::Path => "path",
            Self::Dict => "dict",
            Self::List(_) => "list",
            Self::Raw => "raw",
        }
    }
}

/// The value of an option nobody set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Default {
    /// Text.
    Str(&'static str),
    /// A whole number.
    Int(i64),
    /// A boolean.
    Bool(bool),
    /// A list of texts.
    Strs(&'static [&'static str]),
    /// An empty mapping.
    EmptyDict,
}

impl Default {
    /// The default as JSON.
    #[must_use]
    pub fn to_value(self) -> serde_json::Value {
        match self {
            Self::Str(text) => text.into(),
            Self::Int(number) => number.into(),
            Self::Bool(yes) => yes.into(),
            Self::Strs(texts) => texts.to_vec().into(),
            Self::EmptyDict => serde_json::Value::Object(Object::new()),
        }
    }
}

/// One option of a module.
#[derive(Clone, Copy, Debug)]
pub struct Opt {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Paragraphs of documentation, in Ansible's markup.
    pub doc: &'static [&'static str],
    /// Whether it must be given.
    pub required: bool,
    /// Its value when not given.
    pub default: Option<Default>,
    /// The only values allowed, when not empty.
    pub choices: &'static [&'static str],
    /// Other names it answers to.
    pub aliases: &'static [&'static str],
    /// Whether its value is a secret and must not appear in any output.
    pub no_log: bool,
    /// The sibling option that makes its value a secret when it is true.
    pub no_log_if: Option<&'static str>,
    /// The environment variable read when the option is not given.
    pub env: Option<&'static str>,
    /// The options of the mapping, or of each mapping in the list.
    pub suboptions: &'static [Opt],
}

impl Opt {
    /// An optional option without default.
    #[must_use]
    pub const fn new(name: &'static str, kind: Kind, doc: &'static [&'static str]) -> Self {
        Self {
            name,
            kind,
            doc,
            required: false,
            default: None,
            choices: &[],
            aliases: &[],
            no_log: false,
            no_log_if: None,
            env: None,
            suboptions: &[],
        }
    }

    /// Makes the option mandatory.
    #[must_use]
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// Sets the default.
    #[must_use]
    pub const fn default(mut self, default: Default) -> Self {
        self.default = Some(default);
        self
    }

    /// Restricts the values.
    #[must_use]
    pub const fn choices(mut self, choices: &'static [&'static str]) -> Self {
        self.choices = choices;
        self
    }

    /// Adds other names.
    #[must_use]
    pub const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    /// Marks the value as a secret: text is masked wherever it would appear, also inside lists and mappings.
    #[must_use]
    pub const fn no_log(mut self) -> Self {
        self.no_log = true;
        self
    }

    /// Marks the value as a secret where the boolean option beside it is true.
    #[must_use]
    pub const fn no_log_if(mut self, sibling: &'static str) -> Self {
        self.no_log_if = Some(sibling);
        self
    }

    /// Names the environment variable to fall back to.
    #[must_use]
    pub const fn env(mut self, variable: &'static str) -> Self {
        self.env = Some(variable);
        self
    }

    /// Describes the mapping, or each mapping in the list.
    #[must_use]
    pub const fn suboptions(mut self, suboptions: &'static [Opt]) -> Self {
        self.suboptions = suboptions;
        self
    }
}

/// Options that several modules share, documented once.
#[derive(Clone, Copy, Debug)]
pub struct Fragment {
    /// The name of the documentation fragment.
    pub name: &'static str,
    /// The options.
    pub options: &'static [Opt],
}

/// A condition over several options.
#[derive(Clone, Copy, Debug)]
pub enum Rule {
    /// When the first option has the value, all of the named ones must be given.
    RequiredIf(&'static str, &'static str, &'static [&'static str]),
    /// At most one of these may be given.
    MutuallyExclusive(&'static [&'static str]),
    /// All or none of these must be given.
    RequiredTogether(&'static [&'static str]),
    /// At least one of these must be given.
    RequiredOneOf(&'static [&'static str]),
}

/// How far a module honours a mode of Ansible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// Wholly.
    Full,
    /// Not at all.
    None,
    /// The mode makes no difference (a module that only reads).
    NotApplicable,
}

/// One value of the result.
#[derive(Clone, Copy, Debug)]
pub struct Ret {
    /// Its name.
    pub name: &'static str,
    /// Ansible's name of the type: `str`, `dict`, `list`, `bool`, `int`.
    pub kind: &'static str,
    /// When it is returned.
    pub returned: &'static str,
    /// What it says: shape and units.
    pub doc: &'static str,
    /// What it holds, where it is a mapping or a list of mappings.
    pub contains: &'static [Ret],
}

impl Ret {
    /// A value that is always returned.
    #[must_use]
    pub const fn new(name: &'static str, kind: &'static str, doc: &'static str) -> Self {
        Self { name, kind, returned: "success", doc, contains: &[] }
    }

    /// Says when the value is returned.
    #[must_use]
    pub const fn when(mut self, returned: &'static str) -> Self {
        self.returned = returned;
        self
    }

    /// Describes the parts.
    #[must_use]
    pub const fn contains(mut self, contains: &'static [Ret]) -> Self {
        self.contains = contains;
        self
    }
}

/// Everything Ansible and its tools need to know of a module.
#[derive(Clone, Copy, Debug)]
pub struct ModuleSpec {
    /// The module's name, without the collection.
    pub name: &'static str,
    /// One line without a full stop.
    pub summary: &'static str,
    /// Paragraphs, in Ansible's markup.
    pub description: &'static [&'static str],
    /// The module's own options.
    pub options: &'static [Opt],
    /// Shared options.
    pub fragments: &'static [&'static Fragment],
    /// Conditions over several options.
    pub rules: &'static [Rule],
    /// Whether check mode predicts and writes nothing.
    pub check_mode: Support,
    /// Whether differences are shown.
    pub diff_mode: Support,
    /// Further remarks.
    pub notes: &'static [&'static str],
    /// Tasks in YAML.
    pub examples: &'static str,
    /// What comes back.
    pub returns: &'static [Ret],
}

impl ModuleSpec {
    /// All options: the module's own, then those of the fragments.
    pub fn all_options(&self) -> impl Iterator<Item = &'static Opt> {
        self.options.iter().chain(self.fragments.iter().flat_map(|fragment| fragment.options))
    }
}

/// How the module was called.
#[derive(Clone, Debug, std::default::Default)]
pub struct Context {
    /// Predict only; write nothing.
    pub check_mode: bool,
    /// Differences are wanted.
    pub diff: bool,
    /// The number of `-v`.
    pub verbosity: u8,
}

/// A module: typed parameters and what to do with them.
pub trait Module {
    /// The parameters, as the option table describes them.
    type Params: DeserializeOwned;
    /// The option table and documentation.
    const SPEC: ModuleSpec;
    /// Does the work.
    ///
    /// # Errors
    ///
    /// Returns the one failure to report when the work cannot be done, or must not be.
    fn run(params: Self::Params, context: &Context) -> Result<Outcome, Failure>;
}

/// A module in the table of the multi-call executable.
#[derive(Clone, Copy)]
pub struct Entry {
    /// The option table and documentation.
    pub spec: &'static ModuleSpec,
    pub(crate) call: fn(Object, &Context) -> Result<Outcome, Failure>,
}

impl Entry {
    /// The entry of module `M`.
    #[must_use]
    pub const fn of<M: Module>() -> Self {
        Self { spec: const { &M::SPEC }, call: call::<M> }
    }
}

fn call<M: Module>(options: Object, context: &Context) -> Result<Outcome, Failure> {
    let params = params::read(options)
        .map_err(|error| Failure::invalid_option(format!("invalid options of {}: {error}", M::SPEC.name)))?;
    M::run(params, context)
}

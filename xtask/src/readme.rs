//! The tables of the README, from the role's argument specs and the modules' option tables.

use crate::root;
use ansible_protocol::{Object, doc};
use anyhow::{Context, Result, bail};
use quorum_etcd::MODULES;
use serde_json::Value;

/// The README with its tables brought up to date.
pub(crate) fn text() -> Result<String> {
    let readme = read("README.md")?;
    let readme = replace(&readme, "parameters", &parameters("etcd")?)?;
    let readme = replace(&readme, "removal", &parameters("etcd_remove")?)?;
    let readme = replace(&readme, "backups", &parameters("etcd_backup")?)?;
    let readme = replace(&readme, "restore", &parameters("etcd_restore")?)?;
    let readme = replace(&readme, "recovery", &parameters("etcd_recover")?)?;
    replace(&readme, "modules", &modules())
}

fn read(path: &str) -> Result<String> {
    std::fs::read_to_string(root().join(path)).with_context(|| path.to_owned())
}

fn yaml(path: &str) -> Result<Object> {
    etcd_ops::config::parse(&read(path)?).with_context(|| path.to_owned())
}

/// Puts the rows between the marks `<!-- name: … -->` and `<!-- /name -->`.
fn replace(readme: &str, name: &str, rows: &str) -> Result<String> {
    let (open, close) = (format!("<!-- {name}:"), format!("<!-- /{name} -->"));
    let found =
        readme.find(&open).and_then(|start| Some((start + readme[start..].find("-->\n")? + 4, readme.find(&close)?)));
    let Some((start, end)) = found.filter(|(start, end)| start <= end) else {
        bail!("README.md lacks the marks {open} … {close}")
    };
    Ok(format!("{}{rows}{}", &readme[..start], &readme[end..]))
}

fn options(role: &str) -> Result<Object> {
    let file = format!("roles/{role}/meta/argument_specs.yml");
    let specs = yaml(&file)?;
    let options =
        specs.get("argument_specs").and_then(|specs| specs.pointer("/main/options")).and_then(Value::as_object);
    options.cloned().with_context(|| format!("{file} has no options"))
}

fn parameters(role: &str) -> Result<String> {
    let rows = options(role)?.into_iter().map(|(name, option)| {
        let default = match option.get("default") {
            None if option["required"] == Value::Bool(true) => "required".to_owned(),
            None => String::new(),
            Some(Value::String(text)) if text.contains("{{") => {
                format!("`{}` beside the inventory", text.rsplit("}}/").next().unwrap_or_default())
            }
            Some(Value::String(text)) => format!("`{text}`"),
            Some(other) => format!("`{other}`"),
        };
        let default = if default == "``" { String::new() } else { default };
        let description = doc::plain(option["description"].as_str().unwrap_or_default());
        format!("| `{name}` | {default} | {description} |\n")
    });
    Ok(format!("| parameter | default | what it is |\n| --- | --- | --- |\n{}", rows.collect::<String>()))
}

fn modules() -> String {
    let rows = MODULES.iter().map(|entry| format!("| `{}` | {} |\n", entry.spec.name, entry.spec.summary));
    format!("| module | does |\n| --- | --- |\n{}", rows.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_is_fresh() {
        assert_eq!(read("README.md").unwrap(), text().unwrap(), "run cargo xtask docs");
    }

    #[test]
    fn argument_specs_and_defaults_agree() {
        for role in ["etcd", "etcd_remove", "etcd_backup", "etcd_restore", "etcd_recover"] {
            let defaults = yaml(&format!("roles/{role}/defaults/main.yml")).unwrap();
            let documented: Vec<(String, Value)> = options(role)
                .unwrap()
                .into_iter()
                .filter_map(|(name, mut option)| Some((name, option.as_object_mut()?.remove("default")?)))
                .collect();
            for (name, default) in &documented {
                assert_eq!(defaults.get(name), Some(default), "{name}");
            }
            assert_eq!(defaults.len(), documented.len(), "a default of role {role} is not documented");
        }
    }
}

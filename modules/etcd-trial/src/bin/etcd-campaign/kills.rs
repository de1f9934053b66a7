use std::fmt::{Display, Formatter, Result};
use std::ops::AddAssign;

/// How often something was killed before it came to its end. What was over already does not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kills {
    /// The executable.
    pub(crate) executable: u32,
    /// The controller.
    pub(crate) controller: u32,
    /// A host's power, during a run.
    pub(crate) power: u32,
}

impl Kills {
    /// Of all sorts.
    pub(crate) fn total(self) -> u32 {
        self.executable + self.controller + self.power
    }
}

impl AddAssign for Kills {
    fn add_assign(&mut self, more: Self) {
        self.executable += more.executable;
        self.controller += more.controller;
        self.power += more.power;
    }
}

impl Display for Kills {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> Result {
        let Self { executable, controller, power } = self;
        let total = self.total();
        write!(
            formatter,
            "{total} kills: {executable} of the executable, {controller} of the controller, {power} of a host's power"
        )
    }
}

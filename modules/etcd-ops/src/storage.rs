//! A member's data on the disk, as a thing that can be removed or moved aside: what there is is looked at
//! ([`Seen`]), what to do is decided ([`plan`], pure), who uses it is asked ([`Guard`]), and then it is done step by
//! step ([`apply`]), so that a run that is interrupted at any point can be repeated.

/// Doing what was planned.
mod apply;
/// Putting data back that was moved aside.
mod back;
/// What is on the disk.
mod observe;
/// What is to be done, or why it is not.
mod plan;
#[cfg(test)]
mod tests;
/// Who uses the data.
mod users;
/// Who is making data that is to replace it.
mod work;

pub use apply::apply;
pub use back::{Former, back};
pub use observe::{Place, Seen};
pub use plan::{Asked, Plan, State, Step, plan};
pub use users::Guard;
pub use work::{RESTORE_MARK, refuse_restore_at_work, restores_beside};

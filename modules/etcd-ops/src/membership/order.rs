use super::{Roster, Seat, Standing};
use ansible_protocol::{Failure, order};

impl Roster {
    /// The order in which these members may go, one after the other: first those that vote not or never started, then
    /// those that are down, then followers, and the leader last. Voters that stay must all serve, unless
    /// that is `forced`.
    ///
    /// # Errors
    ///
    /// What is first in the way: as [`Roster::remove`] says it.
    pub fn removal_order(&self, ids: &[u64], forced: bool) -> Result<Vec<u64>, Failure> {
        let mut order: Vec<u64> = Vec::new();
        for id in ids {
            if !order.contains(id) {
                order.push(*id);
            }
        }
        order::sort_by_key(&mut order, |id| self.seat(*id).map(|seat| self.turn(seat)));
        let mut left = self.clone();
        for id in &order {
            left.remove_forced(*id)?;
            if !forced {
                left.spare(&order)?;
            }
            left.seats.retain(|seat| seat.id != *id);
        }
        Ok(order)
    }

    fn turn(&self, seat: &Seat) -> u8 {
        match &seat.standing {
            _ if !seat.voter => 0,
            Standing::Unstarted => 1,
            Standing::Down(_) => 2,
            Standing::Serving if self.leader != Some(seat.id) => 3,
            Standing::Serving => 4,
        }
    }
}

//! Members that are made anew: out of the list, the data aside, and in again.

use super::case::Case;
use super::{Leaving, Recovery, Stop};
use crate::identity::Member;
use crate::observed::{Live, LiveMember};
use etcd_ops::membership::{Roster, Standing};

impl Case<'_> {
    /// Replaces these. Returns why that is not safe.
    pub(super) fn replace(
        &self,
        live: &Live,
        replaced: &[(&Member, &LiveMember)],
        recovery: &mut Recovery,
    ) -> Option<String> {
        let mut roster = match Roster::from_value(self.view?) {
            Ok(roster) => roster,
            Err(failure) => return Some(failure.msg),
        };
        let goes = |id: &str| replaced.iter().any(|(_, listed)| listed.id == id);
        // Those that go have stopped by then; and whom one member cannot reach, another one may.
        for (seat, listed) in roster.seats.iter_mut().filter_map(|seat| {
            let listed = live.members.iter().find(|listed| listed.id == etcd_ops::hex(seat.id))?;
            Some((seat, listed))
        }) {
            match (goes(&listed.id), listed.healthy) {
                (true, _) => seat.standing = Standing::Down("it is replaced".into()),
                (false, true) => seat.standing = Standing::Serving,
                (false, false) => {}
            }
        }
        let ids: Vec<u64> = roster.seats.iter().map(|seat| seat.id).filter(|id| goes(&etcd_ops::hex(*id))).collect();
        let forced = self.forced("remove");
        let order = match roster.removal_order(&ids, forced) {
            Ok(order) => order,
            Err(failure) => return Some(failure.msg),
        };
        let Some(speaker) = self.speaker(live, &|listed| !goes(&listed.id)) else {
            return Some(format!(
                "none of the members of cluster {} that serve can be reached over SSH: bring one of their hosts back first",
                self.cluster.name
            ));
        };
        for (turn, id) in order.iter().enumerate() {
            let Some((member, listed)) = replaced.iter().find(|(_, listed)| listed.id == etcd_ops::hex(*id)) else {
                continue;
            };
            let host = &member.host;
            recovery.intends.push(format!(
                "{host}: take {} out of cluster {}, move its data aside, and join again with the same name and address",
                listed.label(),
                self.cluster.name
            ));
            self.clear(member, recovery);
            recovery.leaving.push(Leaving {
                cluster: self.cluster.name.clone(),
                cluster_id: live.id.clone(),
                speaker: speaker.to_owned(),
                id: listed.id.clone(),
                label: listed.label(),
                // Each is judged anew when its turn comes; those that go after it are down.
                forced: forced || turn + 1 < order.len(),
            });
        }
        None
    }

    /// Its data goes aside, and nothing runs on it.
    pub(super) fn clear(&self, member: &Member, recovery: &mut Recovery) {
        recovery.stop.insert(member.host.clone(), Stop { kill: false });
        recovery.aside.extend(self.whose(member).map(|whose| (member.host.clone(), whose)));
    }
}

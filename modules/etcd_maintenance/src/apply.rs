//! Doing it: each step is judged by the cluster as it is then.

use crate::plan::{self, Alarm, Quotas, Wanted};
use crate::voice;
use ansible_protocol::{ErrorKind, Failure};
use etcd_ops::client::MemberClient;
use etcd_ops::connection::Session;
use etcd_ops::rpc::keys::{Compact, Range};
use etcd_ops::rpc::maintenance::{self, Defragment, Raised};
use etcd_ops::view::{ClusterView, MemberView};
use etcd_ops::{hex, leader};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior};

/// A member's database before and after, in bytes.
pub(crate) struct Sizes {
    id: u64,
    name: String,
    before: i64,
    /// None in check mode.
    after: Option<i64>,
}

impl Sizes {
    pub(crate) fn to_value(&self) -> Value {
        json!({ "id": hex(self.id), "name": self.name, "before": self.before, "after": self.after })
    }
}

/// What was done.
#[derive(Default)]
pub(crate) struct Done {
    /// The revision up to which was compacted.
    pub(crate) compacted: Option<i64>,
    pub(crate) sizes: Vec<Sizes>,
    pub(crate) disarmed: Vec<(u64, Alarm)>,
    /// That little room was left.
    pub(crate) warning: Option<String>,
}

impl Done {
    pub(crate) fn is_empty(&self) -> bool {
        self.compacted.is_none() && self.sizes.is_empty() && self.disarmed.is_empty()
    }

    pub(crate) fn actions(&self) -> Vec<&'static str> {
        let all = [
            (self.compacted.is_some(), "compacted"),
            (!self.sizes.is_empty(), "defragmented"),
            (!self.disarmed.is_empty(), "disarmed"),
        ];
        all.into_iter().filter(|(done, _)| *done).map(|(_, word)| word).collect()
    }
}

/// One cluster, and what is to be done to it.
pub(crate) struct Work<'a> {
    session: &'a Session,
    wanted: &'a Wanted,
    view: ClusterView,
    client: MemberClient,
    pub(crate) done: Done,
}

impl<'a> Work<'a> {
    pub(crate) async fn begin(session: &'a Session, wanted: &'a Wanted) -> Result<Self, Failure> {
        let (view, client) = voice(session).await?;
        Ok(Self { session, wanted, view, client, done: Done::default() })
    }

    /// What would be done, as far as that can be told: how much a compaction frees is known once it is done.
    pub(crate) async fn foretell(&mut self) -> Result<(), Failure> {
        if self.wanted.compact {
            self.done.compacted = Some(self.revision().await?);
        }
        if self.wanted.defragment {
            for member in &self.view.members {
                plan::may_pause(&self.view, member.id)?;
                if self.wanted.compact || plan::pays(member, self.wanted.unused_above) {
                    self.done.sizes.push(Sizes { after: None, ..sizes(member) });
                }
            }
        }
        let raised = self.raised().await?;
        if raised.iter().any(|(_, alarm)| *alarm == Alarm::Nospace) && !self.wanted.compact && !self.wanted.defragment {
            plan::has_room(&self.view, &self.quotas().await)?;
        }
        self.done.disarmed = raised.into_iter().map(|(raised, alarm)| (raised.member_id, alarm)).collect();
        Ok(())
    }

    pub(crate) async fn carry_out(&mut self) -> Result<(), Failure> {
        if self.wanted.compact {
            self.compact().await?;
        }
        if self.wanted.defragment {
            for id in plan::turns(&self.view) {
                self.defragment(id, |member| self.wanted.compact || plan::pays(member, self.wanted.unused_above))
                    .await?;
            }
        }
        if self.wanted.defragment && self.wanted.compact {
            self.defragment_again().await?;
        }
        self.disarm().await
    }

    async fn revision(&self) -> Result<i64, Failure> {
        let all = Range { key: vec![0], range_end: vec![0], count_only: true, ..Range::default() };
        let answer = self.client.call("ask for the newest revision", &all).await?;
        Ok(answer.header.map_or(0, |header| header.revision))
    }

    async fn compact(&mut self) -> Result<(), Failure> {
        let revision = self.revision().await?;
        let request = Compact { revision, physical: true };
        match self.client.ask("compact", &request).await? {
            Ok(()) => self.done.compacted = Some(revision),
            // Nothing was written since the last time.
            Err(status) if status.message().contains("has been compacted") => {}
            Err(status) => return Err(self.client.refused("compact", &status)),
        }
        Ok(())
    }

    /// The member that was asked has compacted when it answers; each of the others does so in its own time, and what it had
    /// not freed by its turn is still there. How much is in use tells nothing of that, as it is only counted after a further
    /// write. One that takes too long is not waited for: whether there is room is judged at the end.
    async fn defragment_again(&mut self) -> Result<(), Failure> {
        let patience = self.session.deadline().min(Instant::now() + Duration::from_secs(300));
        while let Some(id) = plan::larger(&self.view).filter(|_| Instant::now() < patience) {
            self.defragment(id, |_| true).await?;
        }
        Ok(())
    }

    /// Only while all members serve, before and after.
    async fn defragment(&mut self, id: u64, due: impl Fn(&MemberView) -> bool) -> Result<(), Failure> {
        self.view = self.until_all_serve(id).await?;
        let Some(member) = self.view.member(id).filter(|member| due(member)) else { return Ok(()) };
        let before = sizes(member);
        if self.view.leader == Some(id) {
            leader::hand_over(self.session, &self.view, id).await?;
        }
        let urls = &member.client_urls;
        let url = urls.first().map_or("", String::as_str);
        let client = self.session.connect(url).await?;
        client.call("defragment", &Defragment {}).await?;
        self.view = self.until_all_serve(id).await?;
        let after = self.view.member(id).and_then(|member| member.status.as_ref()).map(|status| status.db_size);
        match self.done.sizes.iter_mut().find(|sizes| sizes.id == id) {
            Some(sizes) => sizes.after = after,
            None => self.done.sizes.push(Sizes { after, ..before }),
        }
        Ok(())
    }

    /// Whoever has just been silent may take a moment to be heard again; who is down stays down.
    async fn until_all_serve(&self, id: u64) -> Result<ClusterView, Failure> {
        let patience = self.session.deadline().min(Instant::now() + Duration::from_secs(30));
        let mut poll = tokio::time::interval(Duration::from_millis(200));
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut seen = None;
        loop {
            poll.tick().await;
            let attempt = voice(self.session).await;
            match attempt.and_then(|(view, _)| plan::may_pause(&view, id).map(|()| view)) {
                Ok(view) => return Ok(view),
                Err(failure) if failure.kind == ErrorKind::Auth => return Err(failure),
                // An attempt that the deadline cut short says less than the one before.
                Err(failure) if Instant::now() >= patience => return Err(seen.unwrap_or(failure)),
                Err(failure) => seen = Some(failure),
            }
        }
    }

    /// The alarms that are to end.
    async fn raised(&self) -> Result<Vec<(Raised, Alarm)>, Failure> {
        let all = self.client.call("ask for alarms", &maintenance::Alarm::ALL).await?.alarms;
        let known = all.into_iter().filter_map(|raised| Some((raised, Alarm::of(raised.alarm)?)));
        Ok(known.filter(|(_, alarm)| self.wanted.disarm.contains(alarm)).collect())
    }

    async fn disarm(&mut self) -> Result<(), Failure> {
        (self.view, self.client) = voice(self.session).await?;
        for (raised, alarm) in self.raised().await? {
            if alarm == Alarm::Nospace {
                plan::has_room(&self.view, &self.quotas().await).map_err(|failure| self.told(failure))?;
            }
            self.client.call("disarm the alarm", &maintenance::Alarm::over(&raised)).await?;
            self.done.disarmed.push((raised.member_id, alarm));
            if alarm == Alarm::Nospace {
                self.done.warning = plan::nearly_full(&self.view, &self.quotas().await);
            }
        }
        if self.wanted.disarm.is_empty() || self.raised().await?.is_empty() {
            return Ok(());
        }
        let msg = "the alarm has come back at once: look at the members with ./etcd-recover.yml".to_owned();
        Err(Failure::new(ErrorKind::Conflict, msg))
    }

    /// What the members run with. One that does not tell, as where its client URLs have no HTTP, counts as configured.
    async fn quotas(&self) -> Quotas {
        let mut quotas = Quotas { configured: self.wanted.quota, ..Quotas::default() };
        for member in &self.view.members {
            for url in &member.client_urls {
                let Ok(client) = self.session.connect(url).await else { continue };
                if let Ok(quota) = client.with_deadline(self.session.soon()).quota().await {
                    quotas.running.insert(member.id, quota);
                    break;
                }
            }
        }
        quotas
    }

    /// What was done before it did not go on is not to be forgotten.
    fn told(&self, failure: Failure) -> Failure {
        failure.with("changed", !self.done.is_empty()).with("actions", self.done.actions())
    }
}

fn sizes(member: &MemberView) -> Sizes {
    let before = member.status.as_ref().map_or(0, |status| status.db_size);
    Sizes { id: member.id, name: member.name.clone(), before, after: None }
}

use crate::bed::Campaign;

/// What each host's member and its journal say.
pub(crate) fn of(campaign: &Campaign, hosts: &[String]) -> String {
    let mut text = String::new();
    for host in hosts {
        let told = |result: anyhow::Result<String>| result.unwrap_or_else(|error| format!("{error:#}\n"));
        let members = told(campaign.glance(host, &["member", "list"]));
        let journal =
            ["exec", &campaign.bed, host, "journalctl", "--unit=etcd", "--no-pager", "--lines=15", "--output=cat"];
        let journal = told(campaign.hosts(&journal));
        text.push_str(&format!("--- {host}: etcdctl member list\n{members}--- {host}: journal\n{journal}"));
    }
    text
}

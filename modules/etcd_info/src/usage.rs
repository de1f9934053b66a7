//! Who uses a cluster: live leases, and the keys of well-known clients.

use ansible_protocol::{ErrorKind, Failure};
use etcd_ops::client::MemberClient;
use etcd_ops::connection::Session;
use etcd_ops::rpc::keys::{LeaseLeases, LeaseTimeToLive, Range};
use etcd_ops::view::ClusterView;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Keys in one answer.
const PAGE: usize = 1000;
/// Keys looked at, at most.
const MOST: usize = 100_000;
/// Leases described, at most.
const SAMPLE: usize = 5;

/// Where a Kubernetes API server keeps everything, and the first key after that.
const KUBERNETES: (&[u8], &[u8]) = (b"/registry/", b"/registry0");

/// Who uses the cluster; null while it has no leader to ask.
pub(crate) async fn usage(session: &Session, view: &ClusterView) -> Result<Value, Failure> {
    let Some(leader) = view.leader else { return Ok(Value::Null) };
    let url = view.member(leader).and_then(|member| member.client_urls.first()).unwrap_or(&view.endpoint);
    let client = session.connect(url).await?;
    let leases = leases(&client).await?;
    let found = scan(async |from| page(&client, from).await).await?;
    Ok(json!({
        "leases": leases,
        "clients": found.clients,
        "keys": found.total,
        "complete": found.complete,
        "revision": found.revision,
    }))
}

async fn leases(client: &MemberClient) -> Result<Value, Failure> {
    let leases = client.call("list the leases", &LeaseLeases {}).await?.leases;
    let mut sample = Vec::new();
    for lease in leases.iter().take(SAMPLE) {
        let left = client.call("ask how long a lease lasts", &LeaseTimeToLive { id: lease.id }).await?;
        sample.push(json!({ "id": format!("{:016x}", lease.id), "ttl": left.ttl }));
    }
    Ok(json!({ "count": leases.len(), "sample": sample }))
}

async fn page(client: &MemberClient, from: Vec<u8>) -> Result<Page, Failure> {
    let limit = i64::try_from(PAGE).unwrap_or(i64::MAX);
    let request = Range { key: from, range_end: vec![0], limit, keys_only: true, ..Range::default() };
    let answer = client.call("look through the keys", &request).await?;
    let keys = answer.keys.into_iter().map(|key| key.key).collect();
    Ok(Page {
        keys,
        count: answer.count,
        more: answer.more,
        revision: answer.header.map_or(0, |header| header.revision),
    })
}

/// One answer: keys in their order, how many there are from the first of them on, whether these are not all, and the newest
/// revision.
struct Page {
    keys: Vec<Vec<u8>>,
    count: i64,
    more: bool,
    revision: i64,
}

/// What the keys tell.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    clients: BTreeSet<String>,
    total: i64,
    complete: bool,
    /// The newest revision by then.
    revision: i64,
}

/// Looks through the keys, page by page, as far as the limit and the time allow.
async fn scan(mut page: impl AsyncFnMut(Vec<u8>) -> Result<Page, Failure>) -> Result<Found, Failure> {
    let mut found = Found::default();
    let mut from = vec![0];
    let mut seen = 0;
    loop {
        let page = match page(from).await {
            Ok(page) => page,
            // What has been found counts all the same.
            Err(failure) if failure.kind == ErrorKind::Timeout && seen > 0 => return Ok(found),
            Err(failure) => return Err(failure),
        };
        if seen == 0 {
            found.total = page.count;
        }
        found.revision = page.revision;
        seen += page.keys.len();
        found.clients.extend(page.keys.iter().filter_map(|key| client_of(key)));
        let Some(last) = page.keys.into_iter().last().filter(|_| page.more) else {
            found.complete = true;
            return Ok(found);
        };
        if seen >= MOST {
            return Ok(found);
        }
        from = after(last);
    }
}

/// The first key to look at after this one: whatever else is Kubernetes' says nothing new.
fn after(mut last: Vec<u8>) -> Vec<u8> {
    if last.starts_with(KUBERNETES.0) {
        return KUBERNETES.1.to_vec();
    }
    last.push(0);
    last
}

/// The client that a key of that name betrays. Patroni keeps `NAMESPACE/SCOPE/initialize` and `.../leader`, with the
/// group's number below the scope where it runs Citus.
fn client_of(key: &[u8]) -> Option<String> {
    if key.starts_with(KUBERNETES.0) {
        return Some("Kubernetes in /registry".into());
    }
    let key = String::from_utf8_lossy(key);
    let (above, last) = key.rsplit_once('/')?;
    if !matches!(last, "initialize" | "leader") {
        return None;
    }
    let is_group = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    let above = match above.rsplit_once('/') {
        Some((scope, group)) if is_group(group) && !scope.is_empty() => scope,
        _ => above,
    };
    let (namespace, scope) = above.rsplit_once('/').unwrap_or(("", above));
    let namespace = if namespace.is_empty() { "/" } else { namespace };
    (!scope.is_empty()).then(|| format!("Patroni cluster {scope} in {namespace}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use etcd_ops::block_on;
    use proptest::prelude::*;
    use test_case::test_case;

    #[test_case("/service/pg-main/leader", Some("Patroni cluster pg-main in /service"))]
    #[test_case("/pg/pg-meta/initialize", Some("Patroni cluster pg-meta in /pg"))]
    #[test_case("/a/b/c/leader", Some("Patroni cluster c in /a/b"))]
    #[test_case("/service/citus/0/leader", Some("Patroni cluster citus in /service"))]
    #[test_case("/pg-main/leader", Some("Patroni cluster pg-main in /"))]
    #[test_case("/registry/pods/default/leader", Some("Kubernetes in /registry"))]
    #[test_case("/service/pg-main/members/a", None)]
    #[test_case("/leader", None)]
    #[test_case("leader", None)]
    #[test_case("/service/pg-main/leader/694d", None; "an election of another kind")]
    fn keys_betray_their_clients(key: &str, client: Option<&str>) {
        assert_eq!(client_of(key.as_bytes()).as_deref(), client);
    }

    /// What a member with these keys answers, with so many keys a page.
    fn answer(keys: &BTreeSet<Vec<u8>>, from: &[u8], size: usize) -> Page {
        let rest: Vec<Vec<u8>> = keys.range(from.to_vec()..).cloned().collect();
        let page: Vec<Vec<u8>> = rest.iter().take(size).cloned().collect();
        Page { more: rest.len() > page.len(), count: i64::try_from(rest.len()).unwrap(), keys: page, revision: 7 }
    }

    proptest! {
        /// However small the pages are, the same is found as with all keys at once, and each key is asked for once.
        #[test]
        fn pages_do_not_matter(
            keys in prop::collection::btree_set("(/service/[ab]/|/registry/|/[ab]/)?[a-c]{0,2}(leader|initialize)?", 0..40),
            size in 1..10_usize,
        ) {
            let keys: BTreeSet<Vec<u8>> = keys.into_iter().filter(|key| !key.is_empty()).map(String::into_bytes).collect();
            let mut asked = 0;
            let found = block_on(async { scan(async |from: Vec<u8>| { asked += 1; Ok(answer(&keys, &from, size)) }).await });
            let found = found.unwrap();
            let wanted: BTreeSet<String> = keys.iter().filter_map(|key| client_of(key)).collect();
            let total = i64::try_from(keys.len()).unwrap();
            prop_assert_eq!(found, Found { clients: wanted, total, complete: true, revision: 7 });
            prop_assert!(asked <= keys.len() / size + 1);
        }
    }

    #[test]
    fn a_look_that_is_cut_short_says_so() {
        let keys: BTreeSet<Vec<u8>> = (0..20).map(|number| format!("/a/pg-{number:02}/leader").into_bytes()).collect();
        let timeout = || Failure::new(ErrorKind::Timeout, "too late");
        let mut pages = 0;
        let found = block_on(async {
            scan(async |from: Vec<u8>| {
                pages += 1;
                if pages > 2 { Err(timeout()) } else { Ok(answer(&keys, &from, 5)) }
            })
            .await
        });
        let found = found.unwrap();
        assert_eq!((found.complete, found.total, found.clients.len()), (false, 20, 10));
        // Without any answer there is nothing to tell, and other failures are failures.
        assert!(block_on(async { scan(async |_| Err(timeout())).await }).is_err());
        let mut pages = 0;
        let failure = block_on(async {
            scan(async |from: Vec<u8>| {
                pages += 1;
                if pages > 1 { Err(Failure::new(ErrorKind::Auth, "no")) } else { Ok(answer(&keys, &from, 5)) }
            })
            .await
        });
        assert_eq!(failure.unwrap_err().kind, ErrorKind::Auth);
    }

    #[test]
    fn endless_keys_are_not_looked_through() {
        let mut asked = 0;
        let found = block_on(async {
            scan(async |from: Vec<u8>| {
                asked += 1;
                let keys = (0..PAGE).map(|number| [from.clone(), number.to_be_bytes().to_vec()].concat()).collect();
                Ok(Page { keys, count: i64::MAX, more: true, revision: 7 })
            })
            .await
        });
        assert_eq!((found.unwrap().complete, asked), (false, MOST / PAGE));
    }
}

//! Which bubbles a conversation consists of. Only the composer's list of names tells their order; rows, keys and times do
//! not. A session that was restored from a checkpoint has other names in its list than its bubbles have: there who speaks
//! and the moment at which it began tell (Cursor 3.19).

use super::composer::Header;
use std::collections::{HashMap, HashSet};

/// The bubbles of a conversation in their order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Order {
    /// Each with the one who speaks, as the list says it.
    pub(super) bubbles: Vec<(String, Option<String>)>,
    /// Names in the list without a bubble.
    pub(super) missing: u64,
}

/// `has` tells which bubbles there are; `unnamed` gives those that the list does not name, with who speaks and when they
/// began, and is asked only where a name has no bubble.
pub(super) fn order(
    headers: Vec<Header>,
    has: impl Fn(&str) -> bool,
    unnamed: impl FnOnce(&HashSet<String>) -> Vec<(String, Header)>,
) -> Order {
    let named: HashSet<String> = headers.iter().map(|header| header.id.clone()).collect();
    let mut by_moment: HashMap<(Option<String>, String), String> = HashMap::new();
    if headers.iter().any(|header| !has(&header.id)) {
        let found = unnamed(&named).into_iter();
        by_moment.extend(found.filter_map(|(id, header)| Some(((header.kind, header.moment?), id))));
    }
    let mut order = Order::default();
    for Header { id, kind, moment } in headers {
        let found = if has(&id) { Some(id) } else { moment.and_then(|at| by_moment.remove(&(kind.clone(), at))) };
        match found {
            Some(id) => order.bubbles.push((id, kind)),
            None => order.missing += 1,
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(id: &str, moment: Option<&str>) -> Header {
        Header { id: id.into(), kind: Some("2".into()), moment: moment.map(str::to_owned) }
    }

    #[test]
    fn a_name_without_a_bubble_finds_the_one_that_began_when_it_did() {
        let headers = vec![header("a", None), header("x", Some("7")), header("y", Some("8"))];
        let has = |id: &str| ["a", "b", "c"].contains(&id);
        let unnamed = |named: &HashSet<String>| {
            assert_eq!(named.len(), 3);
            vec![("b".to_owned(), header("b", Some("7"))), ("c".to_owned(), header("c", Some("9")))]
        };
        let ids = |order: Order| (order.bubbles.into_iter().map(|(id, _)| id).collect::<Vec<_>>(), order.missing);
        assert_eq!(ids(order(headers.clone(), has, unnamed)), (vec!["a".into(), "b".into()], 1));
        assert_eq!(ids(order(headers[..1].to_vec(), has, |_| panic!("not asked"))), (vec!["a".into()], 0));
    }
}

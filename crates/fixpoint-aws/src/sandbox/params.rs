//! The parameters of a Query request as a tree: `Filter.1.Value.2` is a path.
//!
//! Not for meaning: a handler decides what a parameter is. The surprise: ELBv2 and IAM put
//! `member` between a list and its index, EC2 does not; both read the same here.

use std::collections::BTreeMap;

use super::refusal::Refusal;

/// Longest path that a parameter may have; AWS's own longest has eight parts.
const DEPTH: usize = 12;

/// One node of the tree: a value, children, or both.
#[derive(Debug, Default)]
pub(super) struct Params {
    value: Option<String>,
    children: BTreeMap<String, Params>,
}

impl Params {
    /// Reads a form body.
    pub(super) fn parse(body: &[u8]) -> Self {
        let mut root = Params::default();
        for (key, value) in form_urlencoded::parse(body) {
            let mut node = &mut root;
            for part in key.splitn(DEPTH, '.') {
                node = node.children.entry(part.to_owned()).or_default();
            }
            node.value = Some(value.into_owned());
        }
        root
    }

    /// Finds the node under a dotted path.
    pub(super) fn at(&self, path: &str) -> Option<&Params> {
        path.split('.').try_fold(self, |node, part| node.children.get(part))
    }

    /// Reads a text; an empty one counts as absent, as AWS does.
    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.at(path)?.value.as_deref().filter(|value| !value.is_empty())
    }

    /// Reads a text that must be there.
    pub(super) fn need(&self, path: &str) -> Result<&str, Refusal> {
        self.text(path).ok_or_else(|| Refusal::missing(path))
    }

    /// Reads a whole number.
    pub(super) fn number(&self, path: &str) -> Result<Option<i64>, Refusal> {
        let Some(text) = self.text(path) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| {
            Refusal::invalid(format!("Value ({text}) for parameter {path} is not a number"))
        })
    }

    /// Reads `true` or `false`.
    pub(super) fn flag(&self, path: &str) -> Result<Option<bool>, Refusal> {
        match self.text(path) {
            None => Ok(None),
            Some(text) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(text) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(text) => Err(Refusal::invalid(format!(
                "Value ({text}) for parameter {path} is invalid. Expected true or false"
            ))),
        }
    }

    /// Lists the members of a list in the order of their numbers.
    pub(super) fn list(&self, path: &str) -> Vec<&Params> {
        let Some(node) = self.at(path) else { return Vec::new() };
        let node = node.children.get("member").unwrap_or(node);
        let mut members: Vec<(u32, &Params)> = node
            .children
            .iter()
            .filter_map(|(index, member)| Some((index.parse().ok()?, member)))
            .collect();
        members.sort_by_key(|(index, _)| *index);
        members.into_iter().map(|(_, member)| member).collect()
    }

    /// Lists the texts of a list.
    pub(super) fn texts(&self, path: &str) -> Vec<String> {
        self.list(path).into_iter().filter_map(|member| member.value.clone()).collect()
    }

    /// Walks over all values with their full paths, for fault rules and token hashes.
    pub(super) fn flat(&self) -> Vec<(String, &str)> {
        let mut found = Vec::new();
        self.walk("", &mut found);
        found
    }

    fn walk<'a>(&'a self, path: &str, found: &mut Vec<(String, &'a str)>) {
        if let Some(value) = &self.value {
            found.push((path.to_owned(), value));
        }
        for (name, child) in &self.children {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            child.walk(&path, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_list_notations_read_the_same_and_in_order() {
        let ec2 = Params::parse(b"InstanceId.2=b&InstanceId.10=c&InstanceId.1=a");
        let elb =
            Params::parse(b"InstanceId.member.1=a&InstanceId.member.2=b&InstanceId.member.10=c");
        assert_eq!(ec2.texts("InstanceId"), ["a", "b", "c"]);
        assert_eq!(elb.texts("InstanceId"), ["a", "b", "c"]);
    }

    #[test]
    fn nested_lists_are_reached_by_path() {
        let params = Params::parse(b"Filter.1.Name=tag%3Aa&Filter.1.Value.1=x+y");
        let filter = params.list("Filter")[0];
        assert_eq!(
            (filter.text("Name"), filter.texts("Value")),
            (Some("tag:a"), vec!["x y".into()])
        );
    }
}

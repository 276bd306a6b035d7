//! The documents that `apply` and `plan` read: what is wanted, in YAML or JSON.
//!
//! A document names its resource and says its spec, either apart or flat:
//!
//! ```yaml
//! kind: clusters        # may be left out
//! name: idg
//! spec:
//!   nodes: 3
//!   addons: [grafana]
//! on_failure: pause     # keep, roll_back or pause; may be left out
//! mend: true            # drift is mended by itself
//! ---
//! name: acme
//! nodes: 5
//! ```
//!
//! Not here: whether the spec makes sense; only the server knows. The surprise: JSON needs no code
//! of its own, because every JSON document is YAML.

use std::{io::Read, path::Path};

use serde_json::{Map, Value};

use crate::error::{CliError, Result};

/// The kind meant where a document names none.
pub(crate) const DEFAULT_KIND: &str = "clusters";

/// Kind and name of a resource that is meant: `clusters/idg`, or `idg` alone.
pub(crate) fn meant(text: &str) -> (&str, &str) {
    text.split_once('/').unwrap_or((DEFAULT_KIND, text))
}

/// One resource that is wanted.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Document {
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) on_failure: Option<String>,
    /// And beside it, `mend`: the API has both flat.
    pub(crate) spec: Map<String, Value>,
}

impl Document {
    /// The body of a POST: name, policy and spec, flat.
    pub(crate) fn body(&self) -> Value {
        let name = ("name".to_owned(), Value::from(self.name.clone()));
        Value::Object(std::iter::once(name).chain(self.policy()).chain(self.spec.clone()).collect())
    }

    fn policy(&self) -> Option<(String, Value)> {
        self.on_failure.clone().map(|policy| ("on_failure".to_owned(), Value::from(policy)))
    }

    /// The body of a PATCH: the fields that the document names; others stay as they are.
    pub(crate) fn patch(&self) -> Value {
        Value::Object(self.policy().into_iter().chain(self.spec.clone()).collect())
    }

    /// `clusters/idg`.
    pub(crate) fn key(&self) -> String {
        format!("{}/{}", self.kind, self.name)
    }
}

/// Reads all documents of a file, or of stdin if the path is `-`.
pub(crate) fn read(path: &Path) -> Result<Vec<Document>> {
    let said =
        if path == Path::new("-") { "standard input".into() } else { path.display().to_string() };
    let unreadable = |source| CliError::usage_because(format!("{said} could not be read"), source);
    let mut text = String::new();
    if path == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).map_err(unreadable)?;
    } else {
        text = std::fs::read_to_string(path).map_err(unreadable)?;
    }
    parse(&text).map_err(|error| error.into_cli(&said))
}

/// Why a text holds no documents.
#[derive(Debug)]
enum Invalid {
    Yaml(Box<serde_saphyr::Error>),
    Document(usize, String),
    Empty,
}

impl Invalid {
    fn into_cli(self, file: &str) -> CliError {
        let hint = "a document says `name: idg` and fields such as `nodes: 3`; see `fixpoint apply --help`";
        match self {
            Self::Yaml(error) => {
                CliError::usage_because(format!("{file} is not valid YAML"), error)
            }
            Self::Document(number, what) => {
                CliError::usage(format!("document {number} of {file} {what}")).hint(hint)
            }
            Self::Empty => CliError::usage(format!("{file} holds no document")).hint(hint),
        }
    }
}

fn parse(text: &str) -> std::result::Result<Vec<Document>, Invalid> {
    let values: Vec<Value> =
        serde_saphyr::from_multiple(text).map_err(|error| Invalid::Yaml(Box::new(error)))?;
    let values = values.into_iter().filter(|value| !value.is_null());
    let documents: Vec<Document> = values
        .enumerate()
        .map(|(at, value)| document(value).map_err(|what| Invalid::Document(at + 1, what)))
        .collect::<std::result::Result<_, _>>()?;
    if documents.is_empty() { Err(Invalid::Empty) } else { Ok(documents) }
}

fn document(value: Value) -> std::result::Result<Document, String> {
    let Value::Object(mut fields) = value else {
        return Err("is no mapping of fields".into());
    };
    let mut text = |field: &str| match fields.shift_remove(field) {
        None => Ok(None),
        Some(Value::String(text)) if !text.is_empty() => Ok(Some(text)),
        Some(other) => Err(format!("has {other} as its `{field}`, which must be a text")),
    };
    let kind = text("kind")?.unwrap_or_else(|| DEFAULT_KIND.to_owned());
    let name = text("name")?.ok_or("has no `name`")?;
    let on_failure = text("on_failure")?;
    let spec = match fields.shift_remove("spec") {
        None => fields,
        Some(Value::Object(mut spec)) if fields.keys().all(|field| field == "mend") => {
            spec.extend(fields);
            spec
        }
        Some(Value::Object(_)) => {
            let others: Vec<&str> = fields.keys().map(String::as_str).collect();
            return Err(format!("has both `spec` and, beside it, {}", others.join(", ")));
        }
        Some(_) => return Err("has a `spec` that is no mapping of fields".into()),
    };
    Ok(Document { kind, name, on_failure, spec })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wrong(text: &str) -> String {
        parse(text).unwrap_err().into_cli("a.yaml").to_string()
    }

    #[test]
    fn a_spec_may_stand_apart_or_flat_and_files_hold_many_documents() {
        let documents = parse(
            "kind: clusters\nname: idg\nspec:\n  nodes: 3\n  addons: [grafana]\n\
             ---\n# a comment\n---\nname: acme\nnodes: 5\n",
        )
        .unwrap();
        let bodies: Vec<Value> = documents.iter().map(Document::body).collect();
        assert_eq!(
            bodies,
            [
                json!({"name": "idg", "nodes": 3, "addons": ["grafana"]}),
                json!({"name": "acme", "nodes": 5})
            ]
        );
        assert_eq!(documents[1].key(), "clusters/acme");
        assert_eq!(documents[1].patch(), json!({"nodes": 5}));
    }

    #[test]
    fn the_failure_policy_stands_beside_the_spec_and_is_sent_with_it() {
        let documents = parse("name: idg\non_failure: pause\nspec: {nodes: 3}\n").unwrap();
        assert_eq!(documents[0].patch(), json!({"on_failure": "pause", "nodes": 3}));
        assert_eq!(documents[0].body()["on_failure"], "pause");
    }

    #[test]
    fn mend_stands_beside_the_spec_wherever_that_stands() {
        for text in ["name: idg\nspec: {nodes: 3}\nmend: true", "name: idg\nnodes: 3\nmend: true"] {
            assert_eq!(parse(text).unwrap()[0].patch(), json!({"nodes": 3, "mend": true}));
        }
    }

    #[test]
    fn json_is_yaml_too() {
        assert_eq!(parse(r#"{"name": "idg", "nodes": 3}"#).unwrap()[0].name, "idg");
    }

    #[test]
    fn each_mistake_is_said_with_the_document_that_holds_it() {
        for (text, said) in [
            ("", "a.yaml holds no document"),
            ("nodes: 3", "document 1 of a.yaml has no `name`"),
            (
                "name: a\n---\nname: 7",
                "document 2 of a.yaml has 7 as its `name`, which must be a text",
            ),
            ("- idg", "document 1 of a.yaml is no mapping of fields"),
            (
                "name: a\nspec: {nodes: 1}\nnodes: 2",
                "document 1 of a.yaml has both `spec` and, beside it, nodes",
            ),
            ("name: a\nspec: 3", "document 1 of a.yaml has a `spec` that is no mapping of fields"),
            ("name: [a", "a.yaml is not valid YAML"),
            ("name: a\nname: b", "a.yaml is not valid YAML"),
        ] {
            assert_eq!(wrong(text), said);
        }
    }
}

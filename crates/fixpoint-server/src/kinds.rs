//! The kinds that this server serves, with their types put away.
//!
//! Not for applications: they write [`Kind`]. The surprise: a spec is stored as the kind wrote it
//! back, not as the user sent it, so that defaults are fixed when they are first used and a later
//! version of the application cannot change a resource by changing a default.

use std::sync::Arc;

use fixpoint::{BoxError, Plan};
use fixpoint_client::FieldError;
use indexmap::IndexMap;
use schemars::{Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{Kind, ResourceRef, StatusCell, resource::ResourceRecord};

/// Each is found by another pass over the spec, so a body made of them would be dear.
const MOST_UNKNOWN: usize = 10;

/// A [`Kind`] whose spec is plain JSON.
pub(crate) trait AnyKind: Send + Sync {
    /// The plural name.
    fn name(&self) -> &'static str;

    /// The JSON schema of the spec.
    fn schema(&self, generator: &mut SchemaGenerator) -> Schema;

    /// The spec, complete with defaults; or what is wrong with it.
    fn check(&self, name: &str, spec: Value, old: Option<&Value>)
    -> Result<Value, Vec<FieldError>>;

    /// The plan for the resource as it now is.
    fn plan(
        &self,
        resource: &ResourceRecord,
        status: StatusCell,
    ) -> Result<Box<dyn Plan>, BoxError>;
}

/// The kinds by name.
pub(crate) type Kinds = IndexMap<&'static str, Arc<dyn AnyKind>>;

/// The stored spec is not one of this version of the application.
#[derive(Debug, thiserror::Error)]
#[error("the stored spec of {resource} is not a spec of this version")]
struct ForeignSpec {
    resource: String,
    #[source]
    source: serde_json::Error,
}

impl<K: Kind> AnyKind for K {
    fn name(&self) -> &'static str {
        K::NAME
    }

    fn schema(&self, generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<K::Spec>()
    }

    fn check(
        &self,
        name: &str,
        spec: Value,
        old: Option<&Value>,
    ) -> Result<Value, Vec<FieldError>> {
        let (spec, mut mistakes) = read::<K::Spec>(spec);
        let Some(spec) = spec else { return Err(mistakes) };
        // An old spec that cannot be read any more puts no bounds on the new one.
        let old = old.and_then(|old| serde_json::from_value(old.clone()).ok());
        let invalid = Kind::validate(self, name, &spec, old.as_ref()).into_iter();
        mistakes.extend(invalid.map(|i| FieldError { pointer: i.pointer, detail: i.detail }));
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        serde_json::to_value(&spec)
            .map_err(|e| vec![FieldError { pointer: String::new(), detail: e.to_string() }])
    }

    fn plan(
        &self,
        resource: &ResourceRecord,
        status: StatusCell,
    ) -> Result<Box<dyn Plan>, BoxError> {
        let spec: K::Spec = serde_json::from_value(resource.spec.clone())
            .map_err(|source| ForeignSpec { resource: resource.key().to_string(), source })?;
        let resource = ResourceRef {
            name: &resource.name,
            spec: &spec,
            generation: resource.generation,
            deleting: resource.deleting,
        };
        Ok(Kind::plan(self, &resource, status))
    }
}

/// Reads a spec, or tells what is wrong with it. A field that is not known is a mistake, but no
/// reason to read no further: the next one should not have to wait for another try.
fn read<S: DeserializeOwned>(mut spec: Value) -> (Option<S>, Vec<FieldError>) {
    let mut mistakes = Vec::new();
    loop {
        let mistake = match serde_path_to_error::deserialize(&spec) {
            Ok(spec) => return (Some(spec), mistakes),
            Err(error) => field_error(&error),
        };
        let unknown = mistake.detail.starts_with("unknown field `");
        let goes_on = unknown
            && mistakes.len() < MOST_UNKNOWN
            && remove(&mut spec, &mistake.pointer).is_some();
        mistakes.push(mistake);
        if !goes_on {
            return (None, mistakes);
        }
    }
}

/// Takes out the field at a pointer.
fn remove(spec: &mut Value, pointer: &str) -> Option<Value> {
    let (object, field) = pointer.rsplit_once('/')?;
    let field = field.replace("~1", "/").replace("~0", "~");
    spec.pointer_mut(object)?.as_object_mut()?.shift_remove(&field)
}

/// Where in the spec a mistake is, as a JSON pointer (RFC 6901), and what it is.
pub(crate) fn field_error(error: &serde_path_to_error::Error<serde_json::Error>) -> FieldError {
    use serde_path_to_error::Segment;
    let mut pointer = String::new();
    let mut push = |part: &str| {
        pointer.push('/');
        pointer.push_str(&part.replace('~', "~0").replace('/', "~1"));
    };
    for segment in error.path() {
        match segment {
            Segment::Seq { index } => push(&index.to_string()),
            Segment::Map { key } => push(key),
            Segment::Enum { variant } => push(variant),
            Segment::Unknown => {}
        }
    }
    let detail = error.inner().to_string();
    // serde tells of fields that should or should not be there at the object around them, and
    // names them only in its message.
    for start in ["unknown field `", "missing field `"] {
        if let Some((field, _)) = detail.strip_prefix(start).and_then(|rest| rest.split_once('`'))
            && !pointer.ends_with(&format!("/{field}"))
        {
            pointer.push('/');
            pointer.push_str(&field.replace('~', "~0").replace('/', "~1"));
        }
    }
    FieldError { pointer, detail }
}

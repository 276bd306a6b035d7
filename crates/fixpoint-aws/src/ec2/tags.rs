//! Tags, and the filters that find things by them.

use serde::{Deserialize, Serialize};

use super::operation::{operations, paged};
use super::wire::set;

/// A tag of a resource.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all(serialize = "PascalCase", deserialize = "camelCase"))]
pub struct Tag {
    /// At most 127 characters; `aws:` is not ours to use.
    pub key: String,
    /// At most 255 characters, possibly none.
    pub value: String,
}

impl Tag {
    /// The tag `key`=`value`.
    pub fn new(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self { key: key.into(), value: value.into() }
    }

    /// The value of the tag `key` among `tags`.
    pub fn find<'a>(tags: &'a [Tag], key: &str) -> Option<&'a str> {
        tags.iter().find(|tag| tag.key == key).map(|tag| tag.value.as_str())
    }
}

/// The tags that a resource gets in the very call that makes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct TagSpecification {
    /// `vpc`, `subnet`, `instance`, `volume`, `security-group`, ...
    pub resource_type: String,
    /// At most 50.
    #[serde(rename = "Tag")]
    pub tags: Vec<Tag>,
}

impl TagSpecification {
    /// `tags` for the new resource of type `resource_type`.
    pub fn new(resource_type: impl Into<String>, tags: impl Into<Vec<Tag>>) -> Self {
        Self { resource_type: resource_type.into(), tags: tags.into() }
    }
}

/// A condition on what is described. All filters must hold, by any one of their values.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Filter {
    /// `vpc-id`, `instance-state-name`, `tag:KEY`, ...
    pub name: String,
    /// `*` and `?` are wild.
    #[serde(rename = "Value")]
    pub values: Vec<String>,
}

impl Filter {
    /// `name` is one of `values`.
    pub fn new<V: Into<String>>(
        name: impl Into<String>,
        values: impl IntoIterator<Item = V>,
    ) -> Self {
        Self { name: name.into(), values: values.into_iter().map(Into::into).collect() }
    }

    /// The resource has the tag `key`=`value`.
    pub fn tag(key: &str, value: impl Into<String>) -> Self {
        Self::new(format!("tag:{key}"), [value.into()])
    }
}

/// Sets tags, over those of the same key. Safe to repeat.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateTags {
    /// Resources of any kind.
    #[serde(rename = "ResourceId")]
    pub resource_ids: Vec<String>,
    /// The tags.
    #[serde(rename = "Tag")]
    pub tags: Vec<Tag>,
}

/// Removes tags; a tag with a value only where it has that value. Safe to repeat.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteTags {
    /// Resources of any kind.
    #[serde(rename = "ResourceId")]
    pub resource_ids: Vec<String>,
    /// The tags.
    #[serde(rename = "Tag")]
    pub tags: Vec<Tag>,
}

/// Lists tags over all kinds of resources; filters `resource-id`, `resource-type`, `key`, `value`,
/// `tag:KEY`.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeTags {
    /// Conditions.
    #[serde(rename = "Filter")]
    pub filters: Vec<Filter>,
    /// Items a page, 5 to 1000.
    pub max_results: Option<u32>,
    /// The page.
    pub next_token: Option<String>,
}

/// A page of tags.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Tags {
    /// The tags, each with its resource.
    #[serde(rename = "tagSet", deserialize_with = "set")]
    pub tags: Vec<TagDescription>,
    /// The next page, if there is one.
    pub next_token: Option<String>,
}

/// A tag and what it hangs on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TagDescription {
    /// The resource.
    pub resource_id: String,
    /// Its kind: `vpc`, `instance`, ...
    pub resource_type: String,
    /// The tag's key.
    pub key: String,
    /// The tag's value.
    pub value: String,
}

/// The answer of an operation that answers nothing but success.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Done {}

operations! {
    CreateTags => Done,
    DeleteTags => Done,
    DescribeTags => Tags,
}
paged! { DescribeTags: tags => TagDescription }

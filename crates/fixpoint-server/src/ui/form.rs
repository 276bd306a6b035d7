//! A form for any kind, from the JSON schema of its spec.
//!
//! Not a general renderer of schemas: what has no control of its own is edited as JSON. The
//! surprise: nothing is filled in for a new resource. A field left empty is not sent, so that the
//! server's own default counts, and the default is only shown.

use serde_json::Value;

use super::text;

/// A form that asks for a new resource or changes one.
#[derive(Debug, Clone)]
pub(crate) struct Form {
    /// Where it is sent.
    pub(crate) action: String,
    /// `POST` or `PATCH`.
    pub(crate) method: &'static str,
    /// The `If-Match` that it is sent with.
    pub(crate) precondition: Option<String>,
    /// Controls that most people want.
    pub(crate) fields: Vec<Field>,
    /// The others.
    pub(crate) more: Vec<Field>,
}

/// One field of a spec.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    /// Its name in the spec.
    pub(crate) name: String,
    /// What it is, in its author's words.
    pub(crate) help: String,
    /// The default, as it may be shown.
    pub(crate) default: String,
    /// The current value as JSON; none in a form for something new.
    pub(crate) current: Option<String>,
    /// How it is asked for.
    pub(crate) control: Control,
}

/// How a value is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Control {
    /// A number, with bounds.
    Number { value: String, min: String, max: String, whole: bool },
    /// Any of these words.
    Choices(Vec<Choice>),
    /// One of these words.
    Choice(Vec<Choice>),
    /// Yes or no.
    Flag(bool),
    /// A line of text.
    Text(String),
    /// Words with commas between them.
    List(String),
    /// Anything.
    Json(String),
}

/// A word to choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Choice {
    /// What is sent.
    pub(crate) value: String,
    /// What it means.
    pub(crate) help: String,
    /// True if it is chosen now.
    pub(crate) chosen: bool,
}

impl Form {
    /// Asks for a new resource of `kind`.
    pub(crate) fn create(kind: &str, schema: &Value) -> Self {
        Self::new(format!("/v1/{}", text::encoded(kind)), "POST", None, schema, None)
    }

    /// Changes a resource from `spec`, unless somebody was first.
    pub(crate) fn change(
        kind: &str,
        name: &str,
        etag: String,
        schema: &Value,
        spec: &Value,
    ) -> Self {
        let action = format!("/v1/{}/{}", text::encoded(kind), text::encoded(name));
        Self::new(action, "PATCH", Some(etag), schema, Some(spec))
    }

    fn new(
        action: String,
        method: &'static str,
        precondition: Option<String>,
        schema: &Value,
        spec: Option<&Value>,
    ) -> Self {
        let root = resolve(schema, schema);
        let properties = root.get("properties").and_then(Value::as_object);
        let required = |name: &str| {
            let list = root.get("required").and_then(Value::as_array);
            list.is_some_and(|list| list.iter().any(|v| v.as_str() == Some(name)))
        };
        let (mut fields, mut more) = (Vec::new(), Vec::new());
        for (name, property) in properties.into_iter().flatten().filter(|(name, _)| *name != "name")
        {
            let field = Field::new(
                name,
                property,
                schema,
                spec.map(|s| s.get(name).unwrap_or(&Value::Null)),
            );
            // Counts and sets of words are what an operator changes; the rest has good defaults.
            let common = matches!(field.control, Control::Number { .. } | Control::Choices(_));
            if common || required(name) { fields.push(field) } else { more.push(field) }
        }
        Self { action, method, precondition, fields, more }
    }

    pub(super) fn is_new(&self) -> bool {
        self.method == "POST"
    }
}

impl Field {
    fn new(name: &str, property: &Value, root: &Value, current: Option<&Value>) -> Self {
        let schema = resolve(property, root);
        let default = property.get("default").or_else(|| schema.get("default"));
        let help = property.get("description").or_else(|| schema.get("description"));
        let shown = |v: &Value| match v {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            Value::Array(items) if items.is_empty() => String::new(),
            other => other.to_string(),
        };
        Self {
            name: name.to_owned(),
            help: help.and_then(Value::as_str).unwrap_or_default().to_owned(),
            default: default.map(shown).unwrap_or_default(),
            control: control(schema, root, current, default),
            current: current.map(Value::to_string),
        }
    }

    pub(super) fn label(&self) -> String {
        let text = self.name.replace('_', " ");
        let mut letters = text.chars();
        letters
            .next()
            .map(|first| first.to_uppercase().chain(letters).collect())
            .unwrap_or_default()
    }
}

fn control(
    schema: &Value,
    root: &Value,
    current: Option<&Value>,
    default: Option<&Value>,
) -> Control {
    let value = current.filter(|v| !v.is_null());
    let plain = || match value {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    let bound = |key| schema.get(key).map(Value::to_string).unwrap_or_default();
    if let Some(words) = words(schema) {
        return Control::Choice(choices(words, &|word| {
            value.and_then(Value::as_str) == Some(word)
        }));
    }
    match type_of(schema) {
        "integer" | "number" => Control::Number {
            value: plain(),
            min: bound("minimum"),
            max: bound("maximum"),
            whole: type_of(schema) == "integer",
        },
        "boolean" => Control::Flag(value.or(default).and_then(Value::as_bool).unwrap_or_default()),
        "string" => Control::Text(plain()),
        "array" => {
            let item = schema.get("items").map_or(&Value::Null, |item| resolve(item, root));
            let has = |word: &str| {
                let list = value.and_then(Value::as_array);
                list.is_some_and(|list| list.iter().any(|v| v.as_str() == Some(word)))
            };
            match words(item) {
                Some(words) => Control::Choices(choices(words, &has)),
                None if type_of(item) == "string" => Control::List(
                    value
                        .and_then(Value::as_array)
                        .into_iter()
                        .flatten()
                        .filter_map(Value::as_str)
                        .collect::<Vec<_>>()
                        .join(", "),
                ),
                None => Control::Json(plain()),
            }
        }
        _ => Control::Json(plain()),
    }
}

/// Follows `$ref`, and goes through the `anyOf [X, null]` that an optional field is written as.
fn resolve<'a>(schema: &'a Value, root: &'a Value) -> &'a Value {
    let mut schema = schema;
    // A schema may refer to itself; eight hops are more than any real one needs.
    for _ in 0..8 {
        let target = schema
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|r| root.pointer(r.strip_prefix('#')?));
        let inner = || {
            let any = schema.get("anyOf").or_else(|| schema.get("allOf"))?.as_array()?;
            any.iter().find(|s| type_of(s) != "null")
        };
        match target.or_else(inner) {
            Some(next) => schema = next,
            None => break,
        }
    }
    schema
}

fn type_of(schema: &Value) -> &str {
    match schema.get("type") {
        Some(Value::String(name)) => name,
        Some(Value::Array(names)) => {
            names.iter().filter_map(Value::as_str).find(|n| *n != "null").unwrap_or("")
        }
        _ => "",
    }
}

/// The words of an enum, with what each means: `enum: […]`, or `oneOf: [{const, description}]`.
fn words(schema: &Value) -> Option<Vec<(String, String)>> {
    let one_of = || {
        let word = |v: &Value| {
            let help = v.get("description").and_then(Value::as_str).unwrap_or_default();
            Some((v.get("const")?.as_str()?.to_owned(), help.to_owned()))
        };
        schema.get("oneOf")?.as_array()?.iter().map(word).collect::<Option<Vec<_>>>()
    };
    let plain = || {
        let list = schema.get("enum")?.as_array()?.iter();
        Some(list.filter_map(|v| Some((v.as_str()?.to_owned(), String::new()))).collect::<Vec<_>>())
    };
    one_of().or_else(plain)
}

fn choices(words: Vec<(String, String)>, chosen: &dyn Fn(&str) -> bool) -> Vec<Choice> {
    words.into_iter().map(|(value, help)| Choice { chosen: chosen(&value), value, help }).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Value {
        json!({
            "type": "object",
            "required": ["zone"],
            "properties": {
                "nodes": {"type": "integer", "minimum": 1, "maximum": 9, "default": 3, "description": "How many."},
                "addons": {"type": "array", "items": {"$ref": "#/$defs/Addon"}, "default": []},
                "zone": {"type": "string"},
                "size": {"anyOf": [{"$ref": "#/$defs/Size"}, {"type": "null"}]},
                "tags": {"type": "object", "additionalProperties": {"type": "string"}},
                "debug": {"type": ["boolean", "null"]},
            },
            "$defs": {
                "Addon": {"oneOf": [{"const": "grafana", "description": "Dashboards."}, {"const": "kapacitor"}]},
                "Size": {"type": "string", "enum": ["small", "large"]},
            },
        })
    }

    #[test]
    fn a_new_resource_is_asked_for_with_controls_that_fit_and_empty_values() {
        let form = Form::create("clusters", &schema());
        assert_eq!((form.action.as_str(), form.method), ("/v1/clusters", "POST"));
        let names: Vec<_> = form.fields.iter().map(|f| f.name.as_str()).collect();
        assert_eq!(names, ["nodes", "addons", "zone"]);
        assert_eq!(
            form.fields[0].control,
            Control::Number { value: String::new(), min: "1".into(), max: "9".into(), whole: true }
        );
        assert_eq!(form.fields[0].default, "3");
        assert!(form.fields.iter().all(|f| f.current.is_none()));
        assert!(matches!(&form.more[0].control, Control::Choice(words) if words.len() == 2));
        assert_eq!(form.more[1].control, Control::Json(String::new()));
        assert_eq!(form.more[2].control, Control::Flag(false));
    }

    #[test]
    fn a_change_starts_from_what_is_there() {
        let spec = json!({"nodes": 3, "addons": ["grafana"], "zone": "a"});
        let form = Form::change("clusters", "idg", "\"4\"".into(), &schema(), &spec);
        assert_eq!(form.precondition.as_deref(), Some("\"4\""));
        let Control::Choices(addons) = &form.fields[1].control else { panic!("{form:?}") };
        assert_eq!(addons.iter().map(|a| a.chosen).collect::<Vec<_>>(), [true, false]);
        assert_eq!(addons[0].help, "Dashboards.");
        assert_eq!(form.fields[0].current.as_deref(), Some("3"));
        assert_eq!(form.more[0].current.as_deref(), Some("null"));
    }

    #[test]
    fn a_schema_that_refers_to_itself_ends() {
        let form = Form::create("x", &json!({"$ref": "#"}));
        assert!(form.fields.is_empty() && form.more.is_empty());
    }
}

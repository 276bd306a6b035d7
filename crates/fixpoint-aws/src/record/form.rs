//! A request's form, as JSON.
//!
//! `Filter.1.Name=vpc-id` becomes `{"Filter":[{"Name":"vpc-id"}]}`. The surprise: all values are
//! texts, as on the wire.

use serde_json::{Map, Value};

/// The form's parameters but `Action` and `Version`, which every call has.
pub(super) fn to_json(form: &[u8]) -> Value {
    let mut root = Map::new();
    for (name, value) in form_urlencoded::parse(form) {
        if !matches!(&*name, "Action" | "Version") {
            // ELBv2 and IAM say `member` between a list's name and its index.
            let parts = name.split('.').filter(|part| *part != "member");
            insert(&mut root, parts, &value);
        }
    }
    number(Value::Object(root))
}

fn insert<'a>(into: &mut Map<String, Value>, mut path: impl Iterator<Item = &'a str>, value: &str) {
    let Some(first) = path.next() else { return };
    let mut place = into.entry(first).or_insert(Value::Null);
    for part in path {
        if !place.is_object() {
            *place = Value::Object(Map::new());
        }
        let Some(object) = place.as_object_mut() else { return };
        place = object.entry(part).or_insert(Value::Null);
    }
    *place = Value::String(value.to_owned());
}

/// Makes arrays of the objects that only have numbers for names.
fn number(value: Value) -> Value {
    let Value::Object(members) = value else { return value };
    let numbered = !members.is_empty() && members.keys().all(|k| k.parse::<u32>().is_ok());
    let members = members.into_iter().map(|(name, value)| (name, number(value)));
    if numbered {
        Value::Array(members.map(|(_, value)| value).collect())
    } else {
        Value::Object(members.collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ec2_and_elb_forms_become_nested_json() {
        let ec2 =
            b"Action=DescribeVpcs&Version=2016-11-15&Filter.1.Name=tag%3Aa&Filter.1.Value.1=x\
            &Filter.1.Value.2=y&MaxResults=5";
        assert_eq!(
            to_json(ec2),
            json!({"Filter": [{"Name": "tag:a", "Value": ["x", "y"]}], "MaxResults": "5"})
        );
        let elb = b"Action=RegisterTargets&Targets.member.1.Id=i-1&Targets.member.1.Port=80";
        assert_eq!(to_json(elb), json!({"Targets": [{"Id": "i-1", "Port": "80"}]}));
    }

    #[test]
    fn a_form_that_contradicts_itself_is_still_shown() {
        assert_eq!(to_json(b"a=1&a.b=2&=3&.=4"), json!({"a": {"b": "2"}, "": {"": "4"}}));
    }
}

//! An answer's XML, as JSON.
//!
//! `<vpcSet><item><vpcId>v</vpcId></item></vpcSet>` becomes `{"vpcSet":[{"vpcId":"v"}]}`. Not a
//! general mapping: attributes are dropped, as AWS uses them for namespaces only. The surprise:
//! the envelope goes too (root, `...Result`), and so does the request id, which is recorded apart.

use quick_xml::Reader;
use quick_xml::events::Event;
use serde_json::{Map, Value};

/// Deeper than any answer of AWS.
const DEEPEST: usize = 64;

#[derive(Default)]
struct Element {
    name: String,
    text: String,
    children: Vec<(String, Value)>,
}

impl Element {
    fn into_value(self) -> Value {
        if self.children.is_empty() {
            return Value::String(self.text.trim().to_owned());
        }
        if self.children.iter().all(|(name, _)| name == "item" || name == "member") {
            return Value::Array(self.children.into_iter().map(|(_, value)| value).collect());
        }
        let mut object = Map::new();
        for (name, value) in self.children {
            match object.get_mut(&name) {
                None => drop(object.insert(name, value)),
                Some(Value::Array(several)) => several.push(value),
                Some(one) => *one = Value::Array(vec![one.take(), value]),
            }
        }
        Value::Object(object)
    }
}

/// The XML document as JSON, or `None` if it is not XML.
pub(super) fn to_json(xml: &str) -> Option<Value> {
    let mut reader = Reader::from_str(xml);
    let mut open: Vec<Element> = Vec::new();
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => {
                if open.len() == DEEPEST {
                    return None;
                }
                let name = start.local_name().as_ref().to_owned();
                open.push(Element { name, ..Element::default() });
            }
            Event::Empty(empty) => {
                let name = empty.local_name().as_ref().to_owned();
                match open.last_mut() {
                    Some(parent) => parent.children.push((name, Value::String(String::new()))),
                    None => return Some(Value::Object(Map::new())),
                }
            }
            Event::Text(text) => push_text(&mut open, &text),
            Event::CData(data) => push_text(&mut open, &data),
            Event::GeneralRef(reference) => {
                let text = &mut open.last_mut()?.text;
                match reference.resolve_char_ref().ok()? {
                    Some(character) => text.push(character),
                    None => text.push_str(quick_xml::escape::resolve_xml_entity(&reference)?),
                }
            }
            Event::End(_) => {
                let element = open.pop()?;
                match open.last_mut() {
                    Some(parent) => {
                        let name = element.name.clone();
                        parent.children.push((name, element.into_value()));
                    }
                    None => return Some(without_envelope(element)),
                }
            }
            Event::Eof => return None,
            _ => {}
        }
    }
}

/// Text outside the root (a byte-order mark, a proxy's words) is nobody's.
fn push_text(open: &mut [Element], text: &str) {
    if let Some(element) = open.last_mut() {
        element.text.push_str(text);
    }
}

fn without_envelope(mut root: Element) -> Value {
    let failed = root.name.ends_with("ErrorResponse") || root.name == "Response";
    if !failed {
        root.children.retain(|(name, _)| name != "requestId" && name != "ResponseMetadata");
        if let [(name, _)] = &root.children[..]
            && name.ends_with("Result")
        {
            return root.children.remove(0).1;
        }
        if root.children.is_empty() {
            return Value::Object(Map::new());
        }
    }
    root.into_value()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn answers_of_both_query_protocols_lose_their_envelope() {
        let ec2 = r#"<?xml version="1.0"?><DescribeVpcsResponse xmlns="http://x/">
            <requestId>r</requestId><vpcSet><item><vpcId>v</vpcId><tagSet/></item></vpcSet>
            </DescribeVpcsResponse>"#;
        assert_eq!(to_json(ec2), Some(json!({"vpcSet": [{"vpcId": "v", "tagSet": ""}]})));
        let elb = "<DescribeTagsResponse><DescribeTagsResult><TagDescriptions><member><Key>a &amp; \
            &#98;</Key></member></TagDescriptions></DescribeTagsResult><ResponseMetadata>\
            <RequestId>r</RequestId></ResponseMetadata></DescribeTagsResponse>";
        assert_eq!(to_json(elb), Some(json!({"TagDescriptions": [{"Key": "a & b"}]})));
    }

    #[test]
    fn an_error_keeps_its_code_and_request_id() {
        let xml = "<ErrorResponse><Error><Code>C</Code></Error><RequestId>r</RequestId>\
            </ErrorResponse>";
        assert_eq!(to_json(xml), Some(json!({"Error": {"Code": "C"}, "RequestId": "r"})));
    }

    #[test]
    fn what_is_not_xml_is_none_however_deep_or_broken() {
        for bad in ["", "Bad gateway", "<a><b></a>", "<a>", "<a>&nope;</a>"] {
            assert_eq!(to_json(bad), None, "{bad}");
        }
        assert_eq!(to_json(&"<a>".repeat(100_000)), None);
    }
}

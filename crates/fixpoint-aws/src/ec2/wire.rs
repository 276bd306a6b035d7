//! EC2's wire format: requests to Query parameters, XML to answers and errors.
//!
//! Not here: which fields there are; the operations say so by `serde`. Format: EC2 Query API,
//! version 2016-11-15. The surprise: a list is numbered (`Filter.1.Value.2`) in a request, but
//! wrapped (`<vpcSet><item/></vpcSet>`) in an answer.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::Value;

use crate::Secret;

const VERSION: &str = "2016-11-15";

/// The form body of a request.
pub(super) fn form(
    action: &str,
    request: &impl Serialize,
    dry_run: bool,
) -> Result<String, serde_json::Error> {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("Action", action).append_pair("Version", VERSION);
    write(&mut form, String::new(), &serde_json::to_value(request)?);
    if dry_run {
        form.append_pair("DryRun", "true");
    }
    Ok(form.finish())
}

fn write(form: &mut form_urlencoded::Serializer<'_, String>, name: String, value: &Value) {
    let under =
        |part: &str| if name.is_empty() { part.to_owned() } else { format!("{name}.{part}") };
    match value {
        Value::Null => {}
        Value::Bool(value) => drop(form.append_pair(&name, &value.to_string())),
        Value::Number(value) => drop(form.append_pair(&name, &value.to_string())),
        Value::String(value) => drop(form.append_pair(&name, value)),
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                write(form, under(&(i + 1).to_string()), item);
            }
        }
        Value::Object(members) => {
            for (member, value) in members {
                write(form, under(member), value);
            }
        }
    }
}

/// What an error answer says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) code: Option<String>,
    pub(super) message: Option<String>,
    pub(super) request_id: Option<String>,
}

/// Reads `<Response><Errors><Error/></Errors><RequestID/></Response>`; whatever is not that (a
/// proxy's page, say) gives an empty fault.
pub(super) fn fault(body: &str) -> Fault {
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "PascalCase")]
    struct Response {
        errors: Errors,
        #[serde(rename = "RequestID")]
        request_id: Option<String>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Errors {
        #[serde(rename = "Error")]
        errors: Vec<Error>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "PascalCase")]
    struct Error {
        code: Option<String>,
        message: Option<String>,
    }
    let response: Response = quick_xml::de::from_str(body).unwrap_or_default();
    let error = response.errors.errors.into_iter().next().unwrap_or_default();
    Fault { code: error.code, message: error.message, request_id: response.request_id }
}

/// Reads `<item/>`s out of their wrapper.
pub(super) fn set<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    #[derive(Deserialize)]
    struct Set<T> {
        #[serde(default = "Vec::new")]
        item: Vec<T>,
    }
    Set::deserialize(deserializer).map(|set| set.item)
}

#[derive(Deserialize)]
struct Attribute<T> {
    value: Option<T>,
}

/// Reads `<attribute><value/></attribute>`.
pub(super) fn attribute<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Attribute::deserialize(deserializer).map(|attribute| attribute.value)
}

/// Reads an attribute that is secret and in base64.
pub(super) fn secret_attribute<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Secret<String>>, D::Error> {
    let Some(coded) = attribute::<D, String>(deserializer)? else { return Ok(None) };
    let bytes = BASE64.decode(coded.trim()).map_err(D::Error::custom)?;
    String::from_utf8(bytes)
        .map(|text| Some(Secret::new(text)))
        .map_err(|_| D::Error::custom("not text"))
}

/// Reads a secret.
pub(super) fn secret<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Secret<String>, D::Error> {
    String::deserialize(deserializer).map(Secret::new)
}

/// Writes a text in base64.
pub(super) fn base64_text<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&BASE64.encode(text))
}

/// Writes a secret in base64.
pub(super) fn base64_secret<S: Serializer>(
    secret: &Option<Secret<String>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match secret {
        Some(secret) => base64_text(secret.reveal(), serializer),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::*;
    use super::*;

    fn read<T: serde::de::DeserializeOwned>(xml: &str) -> T {
        quick_xml::de::from_str(xml).unwrap()
    }

    #[test]
    fn a_request_numbers_its_lists_and_leaves_out_what_is_absent() {
        let request = RunInstances {
            image_id: "ami-1".into(),
            instance_type: "t3.small".into(),
            min_count: 1,
            max_count: 2,
            security_group_ids: vec!["sg-1".into(), "sg-2".into()],
            iam_instance_profile: Some(InstanceProfile {
                name: Some("node".into()),
                ..Default::default()
            }),
            user_data: Some("hi".into()),
            block_device_mappings: vec![BlockDeviceMapping {
                device_name: "/dev/xvda".into(),
                ebs: EbsBlockDevice { encrypted: Some(true), ..Default::default() },
            }],
            tag_specifications: vec![TagSpecification::new("instance", [Tag::new("a b", "ü&")])],
            ..Default::default()
        };
        assert_eq!(
            form("RunInstances", &request, true).unwrap(),
            "Action=RunInstances&Version=2016-11-15&ImageId=ami-1&InstanceType=t3.small\
             &MinCount=1&MaxCount=2&SecurityGroupId.1=sg-1&SecurityGroupId.2=sg-2\
             &IamInstanceProfile.Name=node&UserData=aGk%3D\
             &BlockDeviceMapping.1.DeviceName=%2Fdev%2Fxvda&BlockDeviceMapping.1.Ebs.Encrypted=true\
             &TagSpecification.1.ResourceType=instance&TagSpecification.1.Tag.1.Key=a+b\
             &TagSpecification.1.Tag.1.Value=%C3%BC%26&DryRun=true"
        );
    }

    #[test]
    fn permissions_are_written_and_read_in_the_two_forms_that_ec2_has_for_them() {
        let permission = IpPermission::tcp(80).with_cidr("0.0.0.0/0").with_group("sg-1");
        let request = AuthorizeSecurityGroupIngress {
            group_id: "sg-2".into(),
            ip_permissions: vec![permission.clone()],
            ..Default::default()
        };
        assert_eq!(
            form("AuthorizeSecurityGroupIngress", &request, false).unwrap(),
            "Action=AuthorizeSecurityGroupIngress&Version=2016-11-15&GroupId=sg-2\
             &IpPermissions.1.IpProtocol=tcp&IpPermissions.1.FromPort=80&IpPermissions.1.ToPort=80\
             &IpPermissions.1.IpRanges.1.CidrIp=0.0.0.0%2F0&IpPermissions.1.Groups.1.GroupId=sg-1"
        );
        let groups: SecurityGroups = read(
            "<R><securityGroupInfo><item><groupId>sg-2</groupId><ipPermissions><item>\
             <ipProtocol>tcp</ipProtocol><fromPort>80</fromPort><toPort>80</toPort>\
             <groups><item><groupId>sg-1</groupId></item></groups>\
             <ipRanges><item><cidrIp>0.0.0.0/0</cidrIp></item></ipRanges>\
             </item></ipPermissions></item></securityGroupInfo></R>",
        );
        assert_eq!(groups.security_groups[0].ip_permissions, [permission]);
    }

    #[test]
    fn an_answer_may_lack_lists_hold_empty_ones_and_know_more_than_we_read() {
        let vpcs: Vpcs = read(
            r#"<DescribeVpcsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">
                 <requestId>1</requestId>
                 <vpcSet>
                   <item><vpcId>vpc-1</vpcId><state>available</state><tagSet/></item>
                   <item><vpcId>vpc-2</vpcId><isDefault>true</isDefault>
                     <tagSet><item><key>a</key><value/></item><item><key>b</key><value>x &amp; y</value></item></tagSet>
                     <unheardOf><item>1</item></unheardOf></item>
                 </vpcSet>
               </DescribeVpcsResponse>"#,
        );
        assert_eq!(vpcs.vpcs.len(), 2);
        assert!(vpcs.vpcs[0].tags.is_empty());
        assert!(vpcs.vpcs[1].is_default);
        assert_eq!(vpcs.vpcs[1].tags, [Tag::new("a", ""), Tag::new("b", "x & y")]);
        assert_eq!(vpcs.next_token, None);
        assert!(read::<Vpcs>("<R><requestId>1</requestId><vpcSet/></R>").vpcs.is_empty());
    }

    #[test]
    fn user_data_comes_back_as_it_went_and_is_not_shown() {
        let answer: InstanceAttribute =
            read("<R><instanceId>i-1</instanceId><userData><value>aGk=</value></userData></R>");
        assert_eq!(answer.user_data, Some(Secret::from("hi")));
        assert!(!format!("{answer:?}").contains("hi\""));
        assert_eq!(read::<InstanceAttribute>("<R><userData/></R>").user_data, None);
    }

    #[test]
    fn an_error_answer_gives_code_message_and_request_id() {
        let body = r#"<?xml version="1.0" encoding="UTF-8"?>
            <Response><Errors><Error><Code>InvalidVpcID.NotFound</Code>
            <Message>The vpc ID 'vpc-1' does not exist</Message></Error></Errors>
            <RequestID>ea966190-f9aa-478e-9ede-example</RequestID></Response>"#;
        assert_eq!(
            fault(body),
            Fault {
                code: Some("InvalidVpcID.NotFound".into()),
                message: Some("The vpc ID 'vpc-1' does not exist".into()),
                request_id: Some("ea966190-f9aa-478e-9ede-example".into()),
            }
        );
        assert_eq!(fault("<html>Bad gateway"), Fault::default());
    }
}

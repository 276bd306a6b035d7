//! Removes secrets by type: the members that AWS's models mark as sensitive.
//!
//! Not by pattern: `fixpoint_trace::redact` does that, afterwards. The surprise: a member goes
//! with everything in it, at any depth, since requests and answers nest it differently.

use fixpoint_trace::redact::REDACTED;
use serde_json::Value;

/// Marked `@sensitive` in the models of EC2, ELBv2, IAM and STS, or a credential by its nature.
const SENSITIVE: &[&str] = &[
    // EC2
    "CustomerGatewayConfiguration",
    "KeyMaterial",
    "PasswordData",
    "PreSharedKey",
    "UserData",
    // ELBv2
    "ClientSecret",
    // IAM
    "AuthenticationCode1",
    "AuthenticationCode2",
    "Base32StringSeed",
    "NewPassword",
    "OldPassword",
    "Password",
    "PrivateKey",
    "QRCodePNG",
    "ServiceCredentialSecret",
    "ServicePassword",
    // STS
    "SAMLAssertion",
    "SecretAccessKey",
    "SessionToken",
    "TokenCode",
    "WebIdentityToken",
];

/// Puts a mark in the place of every sensitive member.
pub(super) fn remove(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                if SENSITIVE.iter().any(|sensitive| sensitive.eq_ignore_ascii_case(name)) {
                    *member = REDACTED.into();
                } else {
                    remove(member);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(remove),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_sensitive_member_goes_with_all_that_is_in_it_and_tokens_stay() {
        let mut value = json!({
            "UserData": "c2VjcmV0", "ClientToken": "idg-1",
            "nested": [{"userData": {"value": "c2VjcmV0"}, "keyName": "idg"}],
        });
        remove(&mut value);
        assert_eq!(
            value,
            json!({
                "UserData": REDACTED, "ClientToken": "idg-1",
                "nested": [{"userData": REDACTED, "keyName": "idg"}],
            })
        );
    }
}

//! Removes secrets from text and JSON by pattern: the last net, for whatever the typed capture of
//! calls did not know to be secret.
//!
//! By name (`password`, `SecretAccessKey`, `userData` ...) in JSON, forms, URLs, headers, XML, YAML
//! and Rust's debug output; by look (private keys, AWS keys, JWTs ...) anywhere. Rather too much
//! than too little, but what an operator searches by stays: client tokens, page tokens and request
//! ids are no secrets. The surprise: text that is JSON is parsed and written again, which drops
//! its spaces; other text keeps every other character.

mod names;
mod patterns;

use std::borrow::Cow;

use serde_json::Value;

pub use self::names::is_secret_name;

/// What stands in the place of a secret.
pub const REDACTED: &str = "[redacted]";

/// The text without secrets. Borrowed, and cheap, if there is none.
pub fn text(text: &str) -> Cow<'_, str> {
    if !patterns::is_suspect(text) {
        return Cow::Borrowed(text);
    }
    if text.trim_start().starts_with(['{', '['])
        && let Ok(mut value) = serde_json::from_str(text)
    {
        return if clean(&mut value) { value.to_string().into() } else { text.into() };
    }
    patterns::replace(text)
}

/// Removes secrets from a JSON value, in its texts as [`text`] does.
pub fn json(value: &mut Value) {
    clean(value);
}

/// Whether anything was removed.
fn clean(value: &mut Value) -> bool {
    match value {
        Value::String(string) => match text(string) {
            Cow::Owned(clean) => {
                *string = clean;
                true
            }
            Cow::Borrowed(_) => false,
        },
        Value::Array(values) => values.iter_mut().fold(false, |changed, v| clean(v) | changed),
        Value::Object(fields) => {
            let pair_is_secret = ["Key", "key", "Name", "name", "ParameterKey"]
                .iter()
                .filter_map(|key| fields.get(*key)?.as_str())
                .any(is_secret_name);
            fields.iter_mut().fold(false, |changed, (name, value)| {
                let is_value = matches!(name.as_str(), "Value" | "value" | "ParameterValue");
                let secret = is_secret_name(name) || is_value && pair_is_secret;
                (if secret { blank(value) } else { clean(value) }) | changed
            })
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Removes every text and number in the value of a secret's name.
fn blank(value: &mut Value) -> bool {
    match value {
        Value::String(text) if text.is_empty() || text == REDACTED => false,
        Value::String(_) | Value::Number(_) => {
            *value = REDACTED.into();
            true
        }
        Value::Array(values) => values.iter_mut().fold(false, |changed, v| blank(v) | changed),
        Value::Object(fields) => {
            fields.values_mut().fold(false, |changed, value| blank(value) | changed)
        }
        Value::Null | Value::Bool(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_api_token_of_our_own_is_removed_and_our_crates_names_are_not() {
        let token = format!("fixpoint_{}", "0123456789abcdef".repeat(4) + "89abcdef");
        for around in ["{} was refused", "/x?q={}&a", "'{}'", "a_{}"] {
            let clean = text(&around.replace("{}", &token)).into_owned();
            assert_eq!(clean, around.replace("{}", REDACTED));
        }
        assert!(matches!(text("fixpoint_trace::record fixpoint_aws"), Cow::Borrowed(_)));
    }

    /// Nothing in here may be found in what is left of any text.
    const CANARY: &str = "Canary7hunter2";
    const AWS_SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzzCANARYKE";

    #[test]
    fn a_secret_is_removed_wherever_it_is_written() {
        for planted in [
            r#"{"password":"Canary7hunter2"}"#,
            r#"{"db":{"MasterUserPassword":"Canary7hunter2"}}"#,
            r#"{"UserData":"Canary7hunter2"}"#,
            r#"{"UserData":{"Value":"Canary7hunter2"}}"#,
            r#"{"user_data":["Canary7hunter2"]}"#,
            r#"{"KeyMaterial":"Canary7hunter2"}"#,
            r#"{"Credentials":{"SecretAccessKey":"Canary7hunter2","SessionToken":"Canary7hunter2"}}"#,
            r#"{"Tags":[{"Key":"admin-password","Value":"Canary7hunter2"}]}"#,
            r#"{"body":"{\"api_key\":\"Canary7hunter2\"}"}"#,
            r#"{"cut off": 1, "password": "Canary7hunter2 and more, \"quoted\" Canary7hunter2", "#,
            r#"{"cut off": "{\"password\": \"Canary7hunter2 too\", \"#,
            r#"{"cut off in the secret": 1, "kubeconfig": "Canary7hunter2"#,
            "Action=RunInstances&UserData=Canary7hunter2&Version=2016",
            "user=a;password=Canary7hunter2;host=b",
            "password='Canary7hunter2 x'",
            "connecting with apiKey: Canary7hunter2",
            "Authorization: Bearer Canary7hunter2",
            "authorization=Basic Canary7hunter2",
            "proxy-authorization: Token Canary7hunter2",
            "Authorization: AWS4-HMAC-SHA256 Credential=Canary7hunter2/x, Signature=Canary7hunter2",
            "https://h/x?X-Amz-Signature=Canary7hunter2&X-Amz-Security-Token=Canary7hunter2",
            "https://h/x?a=b&sig=Canary7hunter2",
            "https://h/search?q=secret%3DCanary7hunter2",
            "q=%7B%22password%22%3a%22Canary7hunter2%22%7D&a=b",
            "postgres://admin:Canary7hunter2@db:5432/x",
            "redis://:Canary7hunter2@cache",
            "Login { name: \"a\", password: \"Canary7hunter2\" }",
            "Login { name: \"a\", password: Some(\"Canary7hunter2\") }",
            "<CreateAccessKey><SecretAccessKey>Canary7hunter2</SecretAccessKey></CreateAccessKey>",
            "<keyMaterial>\n Canary7hunter2\n</keyMaterial>",
            "name: a\npassword: correct Canary7hunter2 battery\nhost: b",
            "userData: |\n  #!/bin/sh\n  echo Canary7hunter2\n",
            "-----BEGIN RSA PRIVATE KEY-----\nCanary7hunter2\n-----END RSA PRIVATE KEY-----",
            "-----BEGIN PRIVATE KEY-----\\nCanary7hunter2 cut off",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJDYW5hcnk3In0.Canary7hunter2",
            "IQoJb3JpZ2luX2VjECanary7hunter2Canary7hunter2Canary7hunter2",
            "key AKIACANARY7HUNTER2AB was refused",
            "ASIACANARY7HUNTER2AB",
            "secret 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 was refused",
            r#"{"x":"wJalrXUtnFEMI/K7MDENG/bPxRfiCYzzCANARYKE"}"#,
        ] {
            let clean = text(planted);
            for canary in [CANARY, "CANARY7HUNTER2", AWS_SECRET, "battery"] {
                assert!(!clean.contains(canary), "{planted}\nbecame\n{clean}");
            }
            assert!(clean.contains(REDACTED), "{planted}\nbecame\n{clean}");
            assert_eq!(text(&clean), clean, "a second pass changes nothing");
        }
    }

    #[test]
    fn only_the_secret_is_removed() {
        for (before, after) in [
            (
                r#"{"a": 1, "password": "x", "b": [true, null]}"#,
                r#"{"a":1,"password":"[redacted]","b":[true,null]}"#,
            ),
            ("a=1&password=x&b=2", "a=1&password=[redacted]&b=2"),
            ("https://u:p@h/p?q=1", "https://u:[redacted]@h/p?q=1"),
            (r#"cut {"password":"x y","a":"b"#, r#"cut {"password":"[redacted]","a":"b"#),
            ("<a><password>x</password></a>", "<a><password>[redacted]</password></a>"),
            ("X { token: Some(\"x\"), n: 1 }", "X { token: Some(\"[redacted]\"), n: 1 }"),
        ] {
            assert_eq!(text(before), after);
        }
    }

    #[test]
    fn what_only_looks_like_a_secret_stays() {
        for harmless in [
            r#"{"ClientToken":"fixpoint-idg-node-0","NextToken":"eyJ2IjoiMSJ9","DryRun":false}"#,
            "Action=RunInstances&ClientToken=fixpoint-idg-node-0&Version=2016-11-15",
            "next_token=abc page_token=def idempotency-token=ghi",
            r#"{"Filters":[{"Name":"client-token","Values":["fixpoint-idg"]}]}"#,
            r#"{"Tags":[{"Key":"Name","Value":"idg"},{"Key":"fixpoint:cluster","Value":"idg"}]}"#,
            r#"{"MetadataOptions":{"HttpTokens":"required","HttpEndpoint":"enabled"}}"#,
            r#"{"KeyName":"idg","KeyPairId":"key-0123456789abcdef0","has_password":true}"#,
            r#"{"SecretArn":"arn:aws:secretsmanager:x:1:secret:y","SecretId":"y","PasswordLastUsed":"2026"}"#,
            "the security token included in the request is invalid",
            "an invalid token was given; the secret of good logs is patience",
            "max_tokens: 5, token_type: bearer, secret_name: web",
            "http://127.0.0.1:8080/path?to=a@b.c and git@github.com:a/b and ssh://git@h/x",
            "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/idg/0123456789abcdef",
            "AROAEXAMPLEEXAMPLE123 is the id of a role, AKIA alone is none",
            "4bf92f3577b34da6a3ce929d0e0e4736 da39a3ee5e6b4b0d3255bfef95601890afd80709",
            "usr/share/Fixpoint/templates/cluster10/x",
            "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
            "tests passed: 12, bypass: no, compass=north",
            "List<Token> and a > b < c",
        ] {
            assert!(matches!(text(harmless), Cow::Borrowed(_)), "{}", text(harmless));
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(strange in "\\PC{0,200}|[\"'\\\\{}:=&<>|\\n ]*(password|token)[\"'\\\\{}:=&<>|\\n ab]*") {
            let once = text(&strange).into_owned();
            prop_assert_eq!(text(&once).into_owned(), once);
        }

        #[test]
        fn any_password_in_json_is_removed(secret in "[a-zA-Z0-9 \"'\\\\&<>{}]{12,40}") {
            let planted = serde_json::json!({"a": {"password": secret, "b": "c"}}).to_string();
            let left: Value = serde_json::from_str(&text(&planted)).unwrap();
            prop_assert_eq!(left, serde_json::json!({"a": {"password": REDACTED, "b": "c"}}));
            // Also where the text is cut off and cannot be parsed.
            let cut = &planted[..planted.len() - 2];
            prop_assert!(!text(cut).contains(&secret), "{}", text(cut));
        }
    }
}

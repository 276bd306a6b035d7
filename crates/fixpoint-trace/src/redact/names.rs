//! Tells by the name of a field whether its value is a secret.

/// A name with one of these in it, written together in lower case, names a secret ...
const SECRET: [&str; 15] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "privatekey",
    "keymaterial",
    "userdata",
    "kubeconfig",
    "credential",
    "authorization",
    "signature",
    "cookie",
];

/// ... or one that is exactly one of these ...
const SECRET_ALONE: [&str; 3] = ["pass", "pwd", "sig"];

/// ... unless it ends with one of these: tokens that only make a call repeatable or a list
/// continuable, and properties of a secret that do not give it away.
const HARMLESS_END: [&str; 39] = [
    "clienttoken",
    "clientrequesttoken",
    "idempotencytoken",
    "nexttoken",
    "pagetoken",
    "pagingtoken",
    "paginationtoken",
    "continuationtoken",
    "startingtoken",
    "cancellationtoken",
    "tokens",
    "publickeymaterial",
    "id",
    "ids",
    "arn",
    "arns",
    "name",
    "names",
    "type",
    "kind",
    "count",
    "length",
    "size",
    "version",
    "policy",
    "provider",
    "source",
    "status",
    "state",
    "enabled",
    "required",
    "ttl",
    "age",
    "lifetime",
    "expires",
    "expiry",
    "expiration",
    "lastused",
    "headers",
];

/// Whether a value of this name is to be kept secret, however its words are joined:
/// `SecretAccessKey`, `secret_access_key`, `secret-access-key`.
pub fn is_secret_name(name: &str) -> bool {
    let joined: String = name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|letter| letter.to_ascii_lowercase())
        .collect();
    (SECRET.iter().any(|word| joined.contains(word)) || SECRET_ALONE.contains(&joined.as_str()))
        && !HARMLESS_END.iter().any(|end| joined.ends_with(end))
}

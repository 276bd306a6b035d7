//! `fixpoint token`: who may ask the server.
//!
//! Not here: sending a token, which every command does (`main.rs`). The surprise: the secret goes
//! to stdout alone, so that `fixpoint token create … > file` puts it there and nowhere else.

use fixpoint_client::{NewToken, Role, Token};
use fixpoint_trace::query::Length;
use jiff::{SignedDuration, Timestamp};

use super::time;
use crate::{
    Session,
    error::Result,
    output::{Paint, table},
};

/// Make, list and revoke API tokens
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  fixpoint token create --role operator --name deploys --expires 90d > deploys.token
  fixpoint token create --role ingest --name checkout
  fixpoint token create --role operator --tenant acme --expires 90d > acme.token
  fixpoint token list
  fixpoint token revoke tok-0a1b2c3d4e5f6071

Roles: viewer sees, operator changes resources and cancels runs, admin manages tokens and pins,
ingest sends spans and sees nothing. With --tenant, that tenant's alone: what it makes is called
acme--NAME, and of others it sees nothing. A server writes its first admin token to a file when it
starts for the first time. Other commands send what FIXPOINT_TOKEN or --token-file holds.";

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make a token, and show its secret this once
    Create(Create),
    /// List tokens, without their secrets
    List,
    /// Have a token refused from now on
    Revoke {
        /// The token's id, as the list has it
        id: String,
    },
}

#[derive(Debug, clap::Args)]
struct Create {
    /// What its bearer may do: viewer, operator, admin or ingest
    #[arg(long)]
    role: Role,
    /// Whose it is, or what for
    #[arg(long, default_value = "", hide_default_value = true)]
    name: String,
    /// The tenant whose things alone it is for; the whole server if not given
    #[arg(long)]
    tenant: Option<String>,
    /// When it ends: a length from now (90d, 12h) or a time; never if not given
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    expires: Option<Timestamp>,
}

/// A time to come, given as a length from now or as a time.
fn moment(text: &str) -> std::result::Result<Timestamp, String> {
    if let Ok(Length(nanos)) = text.parse() {
        let length = SignedDuration::from_nanos(i64::try_from(nanos).unwrap_or(i64::MAX));
        return Timestamp::now().checked_add(length).map_err(|error| error.to_string());
    }
    text.parse().map_err(|_| "a length such as 90d, or a time such as 2027-01-01T00:00:00Z".into())
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result {
        let output = &session.output;
        match self.command {
            Command::Create(Create { role, name, tenant, expires }) => {
                let wanted = NewToken { name, role, tenant, expires_at: expires };
                let created = session.client.create_token(&wanted).await?;
                if output.is_json() {
                    return Ok(output.json(&created)?);
                }
                output.text(&created.secret)?;
                let token = &created.token;
                let until = token.expires_at.map_or_else(
                    || "it does not expire".to_owned(),
                    |at| format!("it expires at {}", time(at)),
                );
                let whose = token.tenant.as_ref().map(|tenant| format!(" for tenant {tenant}"));
                let whose = whose.unwrap_or_default();
                output.note(format!("{} of role {}{whose}; {until}", token.id, token.role));
                output.note("this is the only time that it is shown");
            }
            Command::List => {
                let tokens = session.client.tokens().await?;
                if output.is_json() {
                    return Ok(output.json(&tokens)?);
                }
                match tokens.items.is_empty() {
                    true => output.note("there are no tokens"),
                    false => output.text(listed(&tokens.items, output.out))?,
                }
            }
            Command::Revoke { id } => {
                let token = session.client.revoke_token(&id).await?;
                if output.is_json() {
                    return Ok(output.json(&token)?);
                }
                output.text(format!("{} {} revoked", token.id, token.name))?;
            }
        }
        Ok(())
    }
}

fn listed(tokens: &[Token], paint: Paint) -> String {
    let never = || "never".to_owned();
    let rows = tokens.iter().map(|token| {
        vec![
            token.id.clone(),
            token.role.to_string(),
            token.tenant.clone().unwrap_or_else(|| "-".to_owned()),
            token.name.clone(),
            token.last_used_at.map_or_else(never, time),
            token.expires_at.map_or_else(never, time),
        ]
    });
    let head = ["ID", "ROLE", "TENANT", "NAME", "LAST USED", "EXPIRES"];
    table(&head, &rows.collect::<Vec<_>>(), |row, _, cell| match row {
        0 => paint.dim(cell),
        _ => cell.to_owned(),
    })
}

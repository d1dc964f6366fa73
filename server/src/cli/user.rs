//! `tidegate user`: roles and sessions of users, straight in the store.
//!
//! It needs no running gateway, so it is also how the first administrator comes to be. One that runs notices within a
//! second what was taken away.

use clap::{Args, Subcommand};

use super::usage;
use crate::audit::{EventKind, Level};
use crate::auth::permission::Permissions;
use crate::auth::wallet::parse_address;
use crate::clock::{iso, wall_ms};
use crate::config::Config;
use crate::failure::Failure;
use crate::store::{self, Event, Store, StoreError, User};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Show what the store knows of a user
    Show(Whom),
    /// Give a user these roles instead of those it has: in force with its next token
    Roles {
        #[command(flatten)]
        whom: Whom,

        /// user, moderator, admin or service
        #[arg(required = true, value_name = "ROLE")]
        roles: Vec<String>,
    },
    /// Keep a user out: no sign-in, and every session ends
    Disable(Whom),
    /// Let a user sign in again
    Enable(Whom),
    /// End every session of a user, who may sign in again
    Revoke(Whom),
}

/// A user.
#[derive(Debug, Args)]
pub(super) struct Whom {
    /// The user's wallet, 0x…; it has to have signed in once
    wallet: String,
}

impl Verb {
    pub(super) fn run(self, config: &Config) -> Result<(), Failure> {
        if !config.store.outlives_the_run() {
            return Err(usage(
                "TG-CLI-017",
                "there is no store that outlives a run of the gateway",
                "set store.file in the configuration, for the gateway as well",
            ));
        }
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
                Failure::environment("TG-SYS-001", format!("no threads: {error}"), "raise the process limit")
            })?;
        runtime.block_on(async {
            let store = store::open(&config.store).await?;
            self.apply(&*store).await
        })
    }

    async fn apply(self, store: &dyn Store) -> Result<(), Failure> {
        let wallet = self.wallet()?;
        let wallet = wallet.as_str();
        match self {
            Self::Show(_) => show(&known(store.user(wallet).await)?),
            Self::Roles { roles, .. } => {
                Permissions::check_roles(&roles).map_err(|problem| {
                    usage("TG-CLI-018", problem, "tidegate user roles WALLET moderator")
                })?;
                show(&known(store.set_roles(wallet, &roles).await)?);
                note(store, EventKind::RolesChanged, wallet, &roles.join(", ")).await?;
            }
            Self::Enable(_) => {
                show(&known(store.set_disabled(wallet, false).await)?);
                note(store, EventKind::UserEnabled, wallet, "may sign in again").await?;
            }
            Self::Disable(_) => {
                let user = known(store.set_disabled(wallet, true).await)?;
                let ended = revoke(store, wallet).await?;
                show(&user);
                note(store, EventKind::UserDisabled, wallet, &ended).await?;
            }
            Self::Revoke(_) => {
                known(store.user(wallet).await)?;
                let ended = revoke(store, wallet).await?;
                println!("{ended}");
                note(store, EventKind::Revoked, wallet, &ended).await?;
            }
        }
        Ok(())
    }

    /// EIP-55, as the store knows it.
    fn wallet(&self) -> Result<String, Failure> {
        let (Self::Show(whom)
        | Self::Roles { whom, .. }
        | Self::Disable(whom)
        | Self::Enable(whom)
        | Self::Revoke(whom)) = self;
        parse_address(&whom.wallet)
            .map(|address| address.to_checksum(None))
            .map_err(|_| usage("TG-CLI-019", "this is no wallet", "write 0x and 40 hexadecimal digits"))
    }
}

async fn revoke(store: &dyn Store, wallet: &str) -> Result<String, Failure> {
    let sessions = store.revoke_user(wallet, wall_ms()).await.map_err(failed)?;
    Ok(format!("{} sessions ended", sessions.len()))
}

/// The log's file belongs to the gateway that writes it; its copy in the store says who did it from here.
async fn note(store: &dyn Store, kind: EventKind, wallet: &str, what: &str) -> Result<(), Failure> {
    let event = Event {
        time_ms: wall_ms(),
        kind: kind.as_str().into(),
        outcome: "ok".into(),
        level: Level::Notice,
        user: Some(wallet.into()),
        ip: None,
        user_agent: None,
        detail: Some(format!("by the operator, tidegate user: {what}")),
        repeated: None,
    };
    store.append_event(&event).await.map_err(failed)
}

fn known(user: Result<Option<User>, StoreError>) -> Result<User, Failure> {
    user.map_err(failed)?.ok_or_else(|| {
        Failure::environment(
            "TG-CLI-020",
            "this wallet has never signed in",
            "let it sign in once, or look whether store.file is that of the gateway",
        )
    })
}

fn show(User { wallet, roles, disabled, created_ms, seen_ms }: &User) {
    let roles = if roles.is_empty() { "(none)".to_owned() } else { roles.join(", ") };
    let state = if *disabled { "kept out" } else { "may sign in" };
    println!(
        "wallet   {wallet}\nroles    {roles}\nstate    {state}\nsince    {}\nlast     {}",
        iso(*created_ms),
        iso(*seen_ms)
    );
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn failed(error: StoreError) -> Failure {
    Failure::environment("TG-STO-003", error.to_string(), "check store.file or store.postgres")
}

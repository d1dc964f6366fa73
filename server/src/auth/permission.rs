//! What a user may do: roles come with the token, and the configuration says what each role may.

use std::fmt;

use serde::{Deserialize, Serialize};
use tidegate_protocol::shortened;

/// The roles that the table has.
const ROLES: [&str; 4] = ["user", "moderator", "admin", "service"];

/// One thing that a user may be allowed to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Permission {
    /// Follow signal feeds.
    #[serde(rename = "signals.read")]
    SignalsRead,
    /// Ask for market data.
    #[serde(rename = "market.read")]
    MarketRead,
    /// Read conversations.
    #[serde(rename = "conversation.read")]
    ConversationRead,
    /// Read what belongs to the own wallet.
    #[serde(rename = "wallet.read")]
    WalletRead,
    /// See how the gateway is doing, everybody's connections among it.
    #[serde(rename = "system.monitor")]
    SystemMonitor,
    /// Change what others may do, and end their sessions.
    #[serde(rename = "system.admin")]
    SystemAdmin,
}

impl Permission {
    /// The name in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SignalsRead => "signals.read",
            Self::MarketRead => "market.read",
            Self::ConversationRead => "conversation.read",
            Self::WalletRead => "wallet.read",
            Self::SystemMonitor => "system.monitor",
            Self::SystemAdmin => "system.admin",
        }
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What each role may do. A role that is not here may do nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Permissions {
    /// Everybody who signs in.
    pub user: Vec<Permission>,
    /// Who helps users.
    pub moderator: Vec<Permission>,
    /// Who runs the gateway.
    pub admin: Vec<Permission>,
    /// Programs.
    pub service: Vec<Permission>,
}

impl Default for Permissions {
    fn default() -> Self {
        use Permission::{ConversationRead, MarketRead, SignalsRead, SystemAdmin, SystemMonitor, WalletRead};
        let user = vec![SignalsRead, MarketRead, ConversationRead, WalletRead];
        let moderator: Vec<_> = user.iter().copied().chain([SystemMonitor]).collect();
        let admin = moderator.iter().copied().chain([SystemAdmin]).collect();
        Self { user, moderator, admin, service: vec![SignalsRead, MarketRead] }
    }
}

impl Permissions {
    /// Whether one of these roles may do it.
    #[must_use]
    pub fn allow(&self, roles: &[String], permission: Permission) -> bool {
        roles.iter().any(|role| self.of(role).contains(&permission))
    }

    /// Whether these are roles that the table has.
    ///
    /// # Errors
    /// The first that is none, and what there is.
    pub fn check_roles(roles: &[String]) -> Result<(), String> {
        match roles.iter().find(|role| !ROLES.contains(&role.as_str())) {
            None => Ok(()),
            Some(role) => Err(format!("there is no role `{}`: one of {}", shortened(role), ROLES.join(", "))),
        }
    }

    fn of(&self, role: &str) -> &[Permission] {
        match role {
            "user" => &self.user,
            "moderator" => &self.moderator,
            "admin" => &self.admin,
            "service" => &self.service,
            _ => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_may_do_what_the_table_says_and_an_unknown_one_nothing() {
        let permissions = Permissions::default();
        let table = [
            ("user", [true, true, true, true, false, false]),
            ("moderator", [true, true, true, true, true, false]),
            ("admin", [true; 6]),
            ("service", [true, true, false, false, false, false]),
            ("Admin", [false; 6]),
            ("", [false; 6]),
        ];
        let all = [
            Permission::SignalsRead,
            Permission::MarketRead,
            Permission::ConversationRead,
            Permission::WalletRead,
            Permission::SystemMonitor,
            Permission::SystemAdmin,
        ];
        for (role, expected) in table {
            assert_eq!(
                all.map(|permission| permissions.allow(&[role.into()], permission)),
                expected,
                "{role}"
            );
        }
        assert!(permissions.allow(&["service".into(), "moderator".into()], Permission::SystemMonitor));
        assert!(!permissions.allow(&[], Permission::SignalsRead));
    }

    #[test]
    fn the_table_is_configuration() {
        let read: Permissions = toml::from_str("user = [\"market.read\"]").unwrap();
        assert!(!read.allow(&["user".into()], Permission::SignalsRead));
        assert!(read.allow(&["admin".into()], Permission::SignalsRead), "the others keep their defaults");
        assert!(toml::from_str::<Permissions>("user = [\"everything\"]").is_err());
        assert!(toml::from_str::<Permissions>("root = []").is_err());
        let table = toml::Table::try_from(Permissions::default()).unwrap();
        assert!(ROLES.iter().all(|role| table.contains_key(*role)) && table.len() == ROLES.len());
        let check = |role: &str| Permissions::check_roles(&["user".into(), role.into()]);
        assert_eq!(check("service"), Ok(()));
        assert!(check("root").unwrap_err().contains("no role `root`: one of user, moderator"));
    }
}

//! What the letters say. Pure: no database, no transport.

use serde::{Deserialize, Serialize};

use crate::html;
use crate::id::AccessRequestId;

crate::text_enum! {
    /// What a token for setting a password is given for.
    pub enum TokenKind {
        /// The user asked, having forgotten the old one: good for an hour *(our default)*.
        Reset = "reset",
        /// Somebody made the login for the user: good for 7 days.
        Invitation = "invitation",
    }
}

/// A letter as its facts: what the outbox keeps. Names are as they were when it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Letter {
    /// To somebody who may have a login: a link to set a new password.
    PasswordReset,
    /// To a client whose account a manager made: a link to set the password.
    ClientInvitation {
        /// Name and address of the manager.
        manager: String,
    },
    /// To a new member of a team: a link to set the password.
    MemberInvitation {
        /// Name and address of the account.
        team: String,
    },
    /// To the owner of an agency that a client made of itself: a link to set the password.
    AgencyInvitation {
        /// Name and address of the client.
        client: String,
    },
    /// To a client whose account a manager made, without an invitation.
    AccountCreated {
        /// Name and address of the manager.
        manager: String,
    },
    /// To a client that has a manager now.
    Linked {
        /// Name and address of the manager.
        manager: String,
        /// Whether it may change the account.
        has_access: bool,
    },
    /// To a client that has no manager any more.
    Detached {
        /// Name and address of the manager.
        manager: String,
    },
    /// To a client whose manager asks for access.
    AccessRequested {
        /// Name and address of the manager.
        manager: String,
        /// To be answered.
        request_id: AccessRequestId,
    },
    /// To the owners of a partner: what became of a payout.
    Payout {
        /// What there is to tell.
        news: PayoutNews,
        /// The payout's number.
        number: String,
        /// What it pays.
        amount: String,
        /// What may be shown of the payout method.
        method: String,
        /// The transfer's reference, or why it came to nothing.
        remark: Option<String>,
    },
    /// To somebody who may have an account: an agency or partner wants to manage it.
    LinkRequested {
        /// Name and address of the manager.
        manager: String,
        /// To be answered.
        request_id: AccessRequestId,
    },
    /// To every owner of an account whose way to be paid is another one now.
    PayoutMethodChanged {
        /// ISO 4217 code.
        currency: String,
        /// Type and masked account.
        method: String,
        /// Until when automatic payouts wait.
        held_until: String,
    },
    /// To every owner of an account that has no way to be paid in a currency any more.
    PayoutMethodRemoved {
        /// ISO 4217 code.
        currency: String,
        /// Type and masked account.
        method: String,
    },
}

crate::text_enum! {
    /// What became of a payout.
    pub enum PayoutNews {
        /// It was requested.
        Requested = "requested",
        /// The operator will pay it.
        Approved = "approved",
        /// It was paid.
        Paid = "paid",
        /// The operator refused it.
        Rejected = "rejected",
        /// No money left.
        Failed = "failed",
    }
}

/// What a letter says, before it has a form. Never `Debug`: its link may carry a token.
#[derive(Clone, PartialEq, Eq)]
pub struct Content {
    /// Subject line.
    pub subject: String,
    /// Before the link.
    pub opening: Vec<String>,
    /// Label and address.
    pub link: Option<(&'static str, String)>,
    /// Behind the link.
    pub closing: Vec<String>,
}

impl Letter {
    /// Which token the letter's link carries, if it does.
    #[must_use]
    pub const fn token_kind(&self) -> Option<TokenKind> {
        match self {
            Self::PasswordReset => Some(TokenKind::Reset),
            Self::ClientInvitation { .. } | Self::MemberInvitation { .. } | Self::AgencyInvitation { .. } => {
                Some(TokenKind::Invitation)
            }
            _ => None,
        }
    }

    /// What the letter says; `token` goes into its link where it has a [`Letter::token_kind`].
    #[must_use]
    pub fn content(&self, public_url: &str, token: Option<&str>) -> Content {
        let token = token.unwrap_or_default();
        let invitation = || format!("{public_url}/invitation?token={token}");
        let request = |id: &AccessRequestId| format!("{public_url}/access-requests?request={id}");
        match self {
            Self::PasswordReset => password_reset(format!("{public_url}/password-reset?token={token}")),
            Self::ClientInvitation { manager } => client_invitation(manager, invitation()),
            Self::MemberInvitation { team } => member_invitation(team, invitation()),
            Self::AgencyInvitation { client } => agency_invitation(client, invitation()),
            Self::AccountCreated { manager } => account_created(manager, public_url.to_owned()),
            Self::Linked { manager, has_access } => linked(manager, *has_access),
            Self::Detached { manager } => detached(manager),
            Self::AccessRequested { manager, request_id } => {
                access_requested(manager, *request_id, request(request_id))
            }
            Self::Payout { news, number, amount, method, remark } => {
                payout(*news, number, amount, method, remark.as_deref())
            }
            Self::LinkRequested { manager, request_id } => link_requested(manager, *request_id, request(request_id)),
            Self::PayoutMethodChanged { currency, method, held_until } => {
                payout_method_changed(currency, method, held_until)
            }
            Self::PayoutMethodRemoved { currency, method } => payout_method_removed(currency, method),
        }
    }
}

fn password_reset(url: String) -> Content {
    Content {
        subject: "Set a new password".to_owned(),
        opening: vec!["You can set a new password for your login. The link works once, within an hour:".to_owned()],
        link: Some(("Set a new password", url)),
        closing: vec!["If you did not ask for it, do nothing: your password stays as it is.".to_owned()],
    }
}

fn client_invitation(manager: &str, url: String) -> Content {
    let opening = format!("{manager} made an account for you and manages it.");
    invite(format!("{manager} invites you"), opening, url, vec![yours_to_decide()])
}

fn member_invitation(team: &str, url: String) -> Content {
    invite(format!("{team} invites you to its team"), format!("{team} made a login for you."), url, Vec::new())
}

fn agency_invitation(client: &str, url: String) -> Content {
    let opening = format!("{client} made an agency account, and you are its owner.");
    invite("Your agency account".to_owned(), opening, url, Vec::new())
}

fn account_created(manager: &str, url: String) -> Content {
    let how = "To sign in yourself, ask for a new password with this e-mail address:".to_owned();
    Content {
        subject: format!("{manager} made an account for you"),
        opening: vec![format!("{manager} made an account for you and manages it."), how],
        link: Some(("Sign in", url)),
        closing: vec![yours_to_decide()],
    }
}

fn linked(manager: &str, has_access: bool) -> Content {
    let subject = format!("{manager} manages your account now");
    let opening = vec![format!("{subject} and sees its containers."), access(has_access)];
    notice(subject, opening, vec![yours_to_decide()])
}

fn detached(manager: &str) -> Content {
    let subject = format!("{manager} no longer manages your account");
    let opening = vec![format!("{subject}, and sees nothing of it any more.")];
    notice(subject, opening, Vec::new())
}

fn access_requested(manager: &str, request_id: AccessRequestId, url: String) -> Content {
    let subject = format!("{manager} asks for access to your account");
    let wish =
        format!("{manager} manages your account and asks for access: to change its containers and to act for you.");
    ask(subject, wish, request_id, url, "You can take access back at any time.")
}

fn link_requested(manager: &str, request_id: AccessRequestId, url: String) -> Content {
    let subject = format!("{manager} wants to manage your account");
    let wish = format!("{subject}: to see its containers, and to ask for access.");
    ask(subject, wish, request_id, url, "If you do not know who that is, decline or do nothing.")
}

fn payout_method_changed(currency: &str, method: &str, held_until: &str) -> Content {
    let opening = vec![
        format!("Payouts in {currency} go to {method} from now on."),
        format!("Until {held_until} no payout in {currency} is requested by your schedule."),
    ];
    notice(format!("Your payout method for {currency} has changed"), opening, vec![not_you()])
}

fn payout_method_removed(currency: &str, method: &str) -> Content {
    let opening = format!("{method} was removed: there is no payout in {currency} until you set a method again.");
    notice(format!("Your payout method for {currency} is removed"), vec![opening], vec![not_you()])
}

/// What became of a payout.
fn payout(news: PayoutNews, number: &str, amount: &str, method: &str, remark: Option<&str>) -> Content {
    let what = format!("Payout {number} of {amount}");
    let again = "The amount is ready again, and you can request another payout.".to_owned();
    let why = remark.map(|remark| format!("Reason: {remark}"));
    let (subject, opening) = match news {
        PayoutNews::Requested => {
            let next = format!("It goes to {method} once it is approved.");
            (format!("{what} is requested"), vec![format!("{what} is requested."), next])
        }
        PayoutNews::Approved => {
            (format!("{what} is approved"), vec![format!("{what} is approved and will be sent to {method}.")])
        }
        PayoutNews::Paid => {
            let reference = remark.map(|remark| format!("Reference of the transfer: {remark}"));
            let opening = std::iter::once(format!("{what} was paid to {method}.")).chain(reference).collect();
            (format!("{what} is paid"), opening)
        }
        PayoutNews::Rejected => {
            let opening = std::iter::once(format!("{what} was rejected.")).chain(why).chain([again]).collect();
            (format!("{what} is rejected"), opening)
        }
        PayoutNews::Failed => {
            let opening = std::iter::once(format!("{what} could not be sent to {method}.")).chain(why);
            (format!("{what} failed"), opening.chain([again]).collect())
        }
    };
    notice(subject, opening, Vec::new())
}

fn invite(subject: String, opening: String, url: String, closing: Vec<String>) -> Content {
    let how = "Set your password to sign in. The link works once, within 7 days:".to_owned();
    Content { subject, opening: vec![opening, how], link: Some(("Set your password", url)), closing }
}

fn notice(subject: String, opening: Vec<String>, closing: Vec<String>) -> Content {
    Content { subject, opening, link: None, closing }
}

fn ask(subject: String, wish: String, request_id: AccessRequestId, url: String, closing: &str) -> Content {
    let how = format!("Approve or decline the request {request_id}:");
    Content {
        subject,
        opening: vec![wish, how],
        link: Some(("See the request", url)),
        closing: vec![closing.to_owned()],
    }
}

fn yours_to_decide() -> String {
    "You can take access back, or part from your manager, at any time.".to_owned()
}

fn not_you() -> String {
    "If that was none of you, set a new password now, which ends all sessions of your login, and tell the support."
        .to_owned()
}

fn access(is_granted: bool) -> String {
    let text = if is_granted {
        "It may change them and act for you."
    } else {
        "It cannot change them unless you grant access."
    };
    text.to_owned()
}

impl Content {
    /// The letter as plain text.
    #[must_use]
    pub fn text(&self) -> String {
        let link = self.link.iter().map(|(_, url)| url);
        let paragraphs: Vec<&str> = self.opening.iter().chain(link).chain(&self.closing).map(String::as_str).collect();
        paragraphs.join("\n\n") + "\n"
    }

    /// The letter as HTML.
    #[must_use]
    pub fn html(&self) -> String {
        let paragraph = |text: &String| format!("<p>{}</p>\n", html::escape(text));
        let link = self.link.iter().map(|(label, url)| {
            let url = html::escape(url);
            format!("<p>\n<a href=\"{url}\">\n{label}</a>\n</p>\n")
        });
        let opening = self.opening.iter().map(paragraph);
        let body: String = opening.chain(link).chain(self.closing.iter().map(paragraph)).collect();
        format!("<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<body>\n{body}</body>\n</html>\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_stands_on_its_own_line_and_carries_the_token() {
        let content = Letter::PasswordReset.content("https://api.example.com", Some("s3cret"));
        let link = "https://api.example.com/password-reset?token=s3cret";
        assert!(content.text().lines().any(|line| line == link), "{}", content.text());
        assert!(content.html().contains(&format!("<a href=\"{link}\">")), "{}", content.html());
    }

    #[test]
    fn who_did_not_make_its_account_learns_where_to_sign_in() {
        let letter = Letter::AccountCreated { manager: "Archer".to_owned() };
        let content = letter.content("https://api.example.com", None);
        assert!(content.text().lines().any(|line| line == "https://api.example.com"), "{}", content.text());
    }

    #[test]
    fn names_are_text_and_no_html() {
        let letter = Letter::Detached { manager: "<b>Ärcher & Söhne".to_owned() };
        let content = letter.content("https://api.example.com", None);
        assert!(content.subject.starts_with("<b>Ärcher & Söhne "));
        assert!(content.html().contains("<p>&lt;b&gt;Ärcher &amp; Söhne "), "{}", content.html());
    }

    #[test]
    fn the_outbox_keeps_letters_as_json() {
        let letter = Letter::Linked { manager: "Archer".to_owned(), has_access: true };
        let json = serde_json::to_string(&letter).unwrap();
        assert_eq!(json, r#"{"kind":"linked","manager":"Archer","hasAccess":true}"#);
        assert_eq!(serde_json::from_str::<Letter>(&json).unwrap(), letter);
    }
}

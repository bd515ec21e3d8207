//! A container's state: its status and errors, as the platform sees them.

use serde::Deserialize;
use utoipa::ToSchema;
use validator::Validate;

use super::Report;
use crate::accounts::models::validate_name;
use crate::batch::refuse_future;
use crate::clock::Timestamp;
use crate::containers::{ContainerError, ContainerRow, ContainerStatus};
use crate::context::Context;
use crate::error::{Error, Problem, Result, Violation};
use crate::http::{json, trimmed};
use crate::program::ProgramConfig;

/// Most errors of a container.
const MAX_ERRORS: usize = 50;
/// Longest explanation of an error, in characters.
const MAX_MESSAGE: usize = 500;

/// The state of a container at a time: its status and all its errors.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ContainerState {
    /// The container.
    #[schema(example = "ctr_01KB0H6Q4N7ZJ8R5T3V9WXY2AC")]
    pub container_id: String,
    /// Whether it is running.
    pub status: ContainerStatus,
    /// Everything that is wrong with it; what is not named any more is mended.
    #[schema(max_items = 50)]
    pub errors: Vec<ReportedError>,
    /// When it was so, at most 5 minutes ahead of the server's time. A state older than the last one changes nothing.
    pub at: Timestamp,
}

/// Something that is wrong with a container.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReportedError {
    /// The platform's code. As long as it stays, so does the time since when it is shown.
    #[serde(deserialize_with = "trimmed")]
    #[schema(min_length = 1, max_length = 100, example = "dnsNotVerified")]
    pub code: String,
    /// What is wrong, for a person.
    #[schema(min_length = 1, max_length = 500, example = "The custom domain does not point to the container")]
    pub message: String,
}

impl Report for ContainerState {
    const FIELD: &'static str = "states";
    const BATCH: &'static str = "containerStates";

    fn container_id(&self) -> &str {
        &self.container_id
    }

    fn check(&self, context: &Context) -> Result<()> {
        let mut violations = Vec::new();
        if self.errors.len() > MAX_ERRORS {
            let detail = format!("has {} errors; at most {MAX_ERRORS} are kept", self.errors.len());
            violations.push(Violation::at("/errors", "length", detail));
        }
        for (index, error) in self.errors.iter().enumerate() {
            let broken = validate_name(&error.code).err();
            violations.extend(broken.map(|rule| json::rule_violation(&format!("/errors/{index}/code"), &rule)));
            if !(1..=MAX_MESSAGE).contains(&error.message.chars().count()) {
                let detail = format!("must have 1 to {MAX_MESSAGE} characters");
                violations.push(Violation::at(format!("/errors/{index}/message"), "length", detail));
            }
        }
        if !violations.is_empty() {
            return Err(Problem::validation(violations).into());
        }
        refuse_future("at", self.at, context.now)
    }

    fn apply(&self, row: &mut ContainerRow, _program: &ProgramConfig) -> Result<bool> {
        if row.status_at.is_some_and(|last| self.at < last) {
            return Ok(false);
        }
        let known: Vec<ContainerError> = serde_json::from_str(&row.errors).map_err(Error::internal)?;
        let error = |reported: &ReportedError| ContainerError {
            code: reported.code.clone(),
            message: reported.message.clone(),
            since: known.iter().find(|known| known.code == reported.code).map_or(self.at, |known| known.since),
        };
        let errors: Vec<ContainerError> = self.errors.iter().map(error).collect();
        let is_news = row.status != self.status || errors != known;
        row.status = self.status;
        row.errors = serde_json::to_string(&errors).map_err(Error::internal)?;
        row.status_at = Some(self.at);
        Ok(is_news)
    }
}

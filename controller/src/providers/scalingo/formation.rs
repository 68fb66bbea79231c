//! The formation of an app: how many containers of each type, and starting them anew.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Scalingo;
use crate::providers::http::{Answer, Effect, Method, ProviderError, call::decode};

/// One type of containers of an app.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct ContainerType {
    /// The type, such as `web`.
    pub name: String,
    /// How many.
    pub amount: u32,
    /// Their size, such as `M`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
    /// What they run.
    #[serde(default, skip_serializing)]
    pub command: Option<String>,
}

#[derive(Deserialize)]
struct ContainersRoot {
    containers: Vec<ContainerType>,
}

/// What scaling was answered with.
#[derive(Debug, Clone)]
pub struct Scaled {
    /// The whole formation as it will be.
    pub formation: Vec<ContainerType>,
    /// The operation to follow until it is done. Absent on an app that was never deployed: nothing runs yet.
    pub operation: Option<String>,
}

impl Scalingo {
    /// `GET /apps/:app/containers`: the formation.
    ///
    /// Source: developer documentation "Apps / Get containers list". Safe to repeat.
    pub async fn formation(&self, app: &str) -> Result<Vec<ContainerType>, ProviderError> {
        let call = self.api("formation.get", Method::GET).await?.segments(["apps", app, "containers"]);
        self.send::<ContainersRoot>(call).await.map(|root| root.containers)
    }

    /// `POST /apps/:app/scale`. Types that are not named stay as they are. 202 with an operation, or 200 before the first deployment.
    /// A busy app refuses. Repeating sets the same amounts again, but starts another operation.
    ///
    /// Source: developer documentation "Apps / Scale".
    pub async fn scale(&self, app: &str, wanted: &[ContainerType]) -> Result<Scaled, ProviderError> {
        let call = self.api("formation.scale", Method::POST).await?.segments(["apps", app, "scale"]);
        let answer = self.answer(call.json(&json!({ "containers": wanted }))).await?;
        let root: ContainersRoot = decode("formation.scale", Effect::Mutating, &answer.body)?;
        Ok(Scaled { formation: root.containers, operation: answer.location_id() })
    }

    /// `POST /apps/:app/restart`, all types or those in `scope`. Returns the operation to follow.
    ///
    /// Source: developer documentation "Apps / Restart". Repeating restarts again.
    pub async fn restart(&self, app: &str, scope: Option<&[&str]>) -> Result<String, ProviderError> {
        let call = self.api("formation.restart", Method::POST).await?.segments(["apps", app, "restart"]);
        let body = scope.map_or(serde_json::Value::Null, |scope| json!({ "scope": scope }));
        let answer: Answer = self.answer(call.json(&body)).await?;
        let (call, what, effect) = ("formation.restart", "the operation in `Location`", Effect::Mutating);
        answer.location_id().ok_or(ProviderError::Incomplete { call, what, effect })
    }
}

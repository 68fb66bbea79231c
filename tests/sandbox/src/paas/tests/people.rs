//! Who may do what: roles, invitations, and projects that change hands.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Site, read, site};

const APP: &str = "demarches-test";
const EMAIL: &str = "alice@exemple.test";

/// The owner's platform and a second account.
struct Two {
    site: Site,
    alice: String,
    bearer: String,
}

async fn two() -> Two {
    let site = site().await;
    site.paas.seed_app(&site.user, APP).unwrap();
    let (alice, token) = site.paas.seed_user("alice", EMAIL);
    let bearer = site.exchange(&token).await;
    Two { site, alice, bearer }
}

impl Two {
    async fn as_alice(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let url = format!("{}{path}", self.site.paas.urls().api);
        let body = if body.is_null() { None } else { Some(body) };
        read(self.site.ask(&self.bearer, method, &url, body).await).await
    }

    /// Invites her as it is said and lets her open the link.
    async fn join(&self, limited: Option<bool>) -> Value {
        self.joined_by(limited).await.0
    }

    /// The same, and the link.
    async fn joined_by(&self, limited: Option<bool>) -> (Value, String) {
        let mut wanted = json!({"email": EMAIL});
        if let Some(limited) = limited {
            wanted["is_limited"] = json!(limited);
        }
        let path = format!("/v1/apps/{APP}/collaborators");
        let (status, made) = self.site.post(&path, json!({"collaborator": wanted})).await;
        assert_eq!(status, 201, "{made}");
        let link = made["collaborator"]["invitation_link"].as_str().unwrap();
        let token = link.split_once("token=").unwrap().1;
        let path = format!("/v1/apps/collaboration?token={token}");
        assert_eq!(self.as_alice(Method::GET, &path, Value::Null).await.0, 200);
        (made["collaborator"].clone(), path)
    }
}

#[tokio::test]
async fn an_invitation_is_limited_unless_told_and_opens_once() {
    let two = two().await;
    let path = format!("/v1/apps/{APP}/collaborators");
    let (made, followed) = two.joined_by(None).await;
    assert_eq!((&made["is_limited"], &made["status"]), (&json!(true), &json!("pending")));
    assert_eq!((&made["username"], &made["user_id"]), (&json!("n/a"), &Value::Null));
    let (_, listed) = two.site.get(&path).await;
    let one = &listed["collaborators"][0];
    assert_eq!((&one["status"], &one["user_id"]), (&json!("accepted"), &json!(two.alice)));
    assert_eq!(one["invitation_link"], "");
    assert_eq!(two.site.get("/v1/collaborators").await.1, listed);
    assert_eq!(
        two.as_alice(Method::GET, "/v1/collaborators", Value::Null).await.1["collaborators"],
        json!([])
    );

    let (status, refused) = two.as_alice(Method::GET, &followed, Value::Null).await;
    assert_eq!((status, &refused["type"]), (400, &json!("already-collaborator")), "her own link again");
    let again = json!({"collaborator": {"email": EMAIL}});
    assert_eq!(two.site.post(&path, again).await.0, 422);
    let blank = json!({"errors": {"email": ["can't be blank", "is invalid"]}});
    assert_eq!(two.site.post(&path, json!({"collaborator": {"email": ""}})).await, (422, blank));
    let other = json!({"collaborator": {"email": "other@exemple.test"}});
    let link = two.site.post(&path, other).await.1["collaborator"]["invitation_link"].clone();
    let token = link.as_str().unwrap().split_once("token=").unwrap().1.to_owned();
    let (status, refused) =
        two.as_alice(Method::GET, &format!("/v1/apps/collaboration?token={token}"), Value::Null).await;
    assert_eq!((status, &refused["type"]), (400, &json!("already-collaborator")));
    assert_eq!(two.as_alice(Method::GET, "/v1/apps/collaboration?token=x", Value::Null).await.0, 404);
}

#[tokio::test]
async fn a_limited_collaborator_looks_and_a_full_one_works_but_owns_nothing() {
    let two = two().await;
    let app = |rest: &str| format!("/v1/apps/{APP}{rest}");
    two.site.post(&app("/variables"), json!({"variable": {"name": "SECRET", "value": "hidden"}})).await;
    assert_eq!(two.as_alice(Method::GET, &app("/variables"), Value::Null).await.0, 404, "a stranger");
    let who = two.join(None).await;
    let (status, shown) = two.as_alice(Method::GET, &app("/variables"), Value::Null).await;
    assert_eq!((status, &shown["variables"][0]["name"]), (200, &json!("SECRET")));
    assert_eq!(shown["variables"][0]["value"], "", "a limited collaborator saw a value");
    let plan = json!({"addon": {"addon_provider_id": "redis", "plan_id": "5cc45d330000000000000256"}});
    let works = [
        (Method::POST, app("/variables"), json!({"variable": {"name": "MORE", "value": "1"}})),
        (Method::POST, app("/addons"), plan),
        (Method::POST, app("/collaborators"), json!({"collaborator": {"email": "third@exemple.test"}})),
    ];
    for (method, path, body) in works.clone() {
        let (status, refused) = two.as_alice(method, &path, body).await;
        assert!(status == 401 && refused["error"].is_string(), "{path}: {status} {refused}");
    }
    let role = format!("{}/{}", app("/collaborators"), who["id"].as_str().unwrap());
    let full = json!({"collaborator": {"is_limited": false}});
    assert_eq!(two.as_alice(Method::PATCH, &role, full.clone()).await.0, 401, "made herself more");
    assert_eq!(two.site.call("PATCH", &role, full).await.1["collaborator"]["is_limited"], false);
    for (method, path, body) in works {
        assert_eq!(two.as_alice(method, &path, body).await.0, 201, "{path}");
    }
    let rename = json!({"current_name": APP, "new_name": "somebody-elses"});
    assert_eq!(two.as_alice(Method::POST, &app("/rename"), rename).await.0, 401);
    let delete = app(&format!("?current_name={APP}"));
    assert_eq!(two.as_alice(Method::DELETE, &delete, Value::Null).await.0, 401);
    assert_eq!(two.site.call("DELETE", &role, Value::Null).await.0, 204);
    assert_eq!(two.as_alice(Method::GET, &app("/variables"), Value::Null).await.0, 404, "she was revoked");
}

/// A project with one app, of which she is an accepted collaborator: its path.
async fn project(two: &Two) -> String {
    let (_, made) = two.site.post("/v1/projects", json!({"project": {"name": "commun"}})).await;
    let project = made["project"]["id"].as_str().unwrap().to_owned();
    let (status, _) = two.site.call("PUT", &format!("/v1/apps/{APP}"), json!({"project_id": project})).await;
    assert_eq!(status, 200);
    format!("/v1/projects/{project}")
}

#[tokio::test]
async fn a_project_changes_hands_by_an_invitation() {
    let two = two().await;
    let project = project(&two).await;
    let invitations = format!("{project}/transfer_invitations");
    let invite = json!({"transfer_invitation": {"invited_user_id": two.alice}});
    assert_eq!(two.site.post(&invitations, invite.clone()).await.0, 422, "she is no collaborator yet");
    two.join(Some(false)).await;
    let (_, owners) = two.site.get(&format!("{project}/eligible_new_owners")).await;
    assert_eq!(owners["eligible_new_owners"], json!([{"user_id": two.alice, "user_name": "alice"}]));
    let (status, made) = two.site.post(&invitations, invite.clone()).await;
    assert_eq!((status, &made["transfer_invitation"]["status"]), (201, &json!("pending")), "{made}");
    assert_eq!(two.site.post(&invitations, invite.clone()).await.0, 409, "one at a time");
    let one = |made: &Value, end: &str| {
        format!("{invitations}/{}/{end}", made["transfer_invitation"]["id"].as_str().unwrap())
    };
    assert_eq!(
        two.as_alice(Method::POST, &one(&made, "cancel"), json!({})).await.0,
        404,
        "not hers to cancel"
    );
    assert_eq!(two.site.post(&one(&made, "accept"), json!({})).await.0, 404, "not his to accept");
    assert_eq!(
        two.site.post(&one(&made, "cancel"), json!({})).await.1["transfer_invitation"]["status"],
        "canceled"
    );

    let (_, late) = two.site.post(&invitations, invite.clone()).await;
    two.site.advance(73 * 3_600);
    assert_eq!(two.as_alice(Method::POST, &one(&late, "accept"), json!({})).await.0, 409, "it had expired");
    let (_, made) = two.site.post(&invitations, invite.clone()).await;
    // An end by its name, as the newest SDK sends it, is whose the end is.
    let place = one(&made, "");
    let end = |status: &str| json!({"transfer_invitation": {"status": status}});
    assert_eq!(two.site.call("PATCH", place.trim_end_matches('/'), end("declined")).await.0, 404);
    assert_eq!(two.as_alice(Method::PATCH, place.trim_end_matches('/'), end("lost")).await.0, 422);
    let (_, declined) = two.as_alice(Method::PATCH, place.trim_end_matches('/'), end("declined")).await;
    assert_eq!(declined["transfer_invitation"]["status"], "declined");
    let (_, made) = two.site.post(&invitations, invite).await;
    assert_eq!(two.site.get(&invitations).await.1["transfer_invitations"].as_array().unwrap().len(), 1);
    let (_, accepted) = two.as_alice(Method::POST, &one(&made, "accept"), json!({})).await;
    assert_eq!(accepted["transfer_invitation"]["status"], "accepted");

    assert_eq!(two.site.get(&project).await.0, 404, "still the former owner's");
    assert_eq!(
        two.as_alice(Method::GET, &project, Value::Null).await.1["project"]["owner"]["id"],
        json!(two.alice)
    );
    let (_, app) = two.site.get(&format!("/v1/apps/{APP}")).await;
    assert_eq!(app["app"]["owner"]["id"], json!(two.alice));
    let (_, team) = two.site.get(&format!("/v1/apps/{APP}/collaborators")).await;
    assert_eq!(team["collaborators"].as_array().unwrap().len(), 1);
    assert_eq!(team["collaborators"][0]["user_id"], json!(two.site.user), "the former owner stays");
    let all = format!("{invitations}?status=all");
    assert_eq!(
        two.as_alice(Method::GET, &all, Value::Null).await.1["transfer_invitations"]
            .as_array()
            .unwrap()
            .len(),
        4
    );
}

#[tokio::test]
async fn dedicated_databases_are_listed_as_none_and_not_sold() {
    let site = site().await;
    assert_eq!(site.get("/v1/databases").await, (200, json!({"databases": []})));
    let list = site.http.get(format!("{}/v1/databases", site.paas.urls().api)).bearer_auth(&site.bearer);
    let list = list.header("user-agent", "Scalingo Javascript Client").send().await.unwrap();
    assert_eq!(list.json::<Value>().await.unwrap(), json!([]), "the JavaScript client takes the root");
    assert_eq!(site.get("/v1/databases/x").await, (404, json!({"error": "Database not found"})));
    let bare = json!({"addon_provider_id": "postgresql-ng", "plan_id": "x", "name": "my-database"});
    assert_eq!(site.post("/v1/databases", bare).await.0, 404);
    let wrapped = json!({"database": {"technology": "postgresql-ng", "plan": "x", "name": "My database"}});
    assert_eq!(site.post("/v1/databases", wrapped).await.0, 422);
}

#[tokio::test]
async fn variables_are_deleted_together_in_both_shapes() {
    let site = site().await;
    site.paas.seed_app(&site.user, APP).unwrap();
    let path = format!("/v1/apps/{APP}/variables");
    let many: Vec<_> = (0..4).map(|n| json!({"id": "", "name": format!("V{n}"), "value": "x"})).collect();
    let (_, made) = site.call("PUT", &path, json!({"variables": many})).await;
    let id = |n: usize| made["variables"][n]["id"].as_str().unwrap().to_owned();
    assert_eq!(site.call("DELETE", &path, json!({"variable_ids": [id(0), "nobody"]})).await.0, 404);
    assert_eq!(site.call("DELETE", &path, json!({"variable_ids": [id(0), id(1)]})).await.0, 204);
    let query = format!("{path}?variable_ids[]={}&variable_ids[]={}", id(2), id(3));
    assert_eq!(site.call("DELETE", &query, Value::Null).await.0, 204);
    assert_eq!(site.get(&path).await.1["variables"], json!([]));
    for (name, value) in
        [("9A", "x"), ("A B", "x"), ("A", "  "), ("A", &"x".repeat(32_769)), (&"A".repeat(65), "x")]
    {
        let (status, refused) = site.post(&path, json!({"variable": {"name": name, "value": value}})).await;
        assert!(status == 422 && refused["errors"].is_object(), "{name}: {status} {refused}");
    }
    let longest = json!({"variable": {"name": "LONGEST", "value": "é".repeat(32_768)}});
    assert_eq!(site.post(&path, longest.clone()).await.0, 201);
    assert_eq!(site.post(&path, longest).await.0, 201, "an existing one is overwritten");
}

#[tokio::test]
async fn a_limited_collaborator_reads_the_logs_of_a_week() {
    let two = two().await;
    two.join(Some(true)).await;
    let id =
        crate::paas::work::deploy::enqueue(&two.site.paas, APP, &two.site.user, "deployment", None).unwrap();
    two.site.paas.with_app(APP, |app| app.deployments[0].output = "-----> built".into());
    let path = format!("/v1/apps/{APP}/deployments/{id}/output");
    let read = async |bearer: &str| {
        let url = format!("{}{path}", two.site.paas.urls().api);
        two.site.ask(bearer, Method::GET, &url, None).await.status().as_u16()
    };
    assert_eq!(read(&two.bearer).await, 200);
    two.site.advance(6 * 24 * 3_600);
    assert_eq!(read(&two.bearer).await, 200);
    two.site.advance(24 * 3_600);
    assert_eq!((read(&two.bearer).await, read(&two.site.bearer).await), (401, 200));
}

#[tokio::test]
async fn a_page_beyond_every_number_is_empty() {
    let two = two().await;
    let path = format!("/v1/apps/{APP}/deployments?page={}&per_page=100", u64::MAX);
    let (status, listed) = two.site.get(&path).await;
    assert_eq!((status, &listed["deployments"]), (200, &json!([])));
}

#[tokio::test]
async fn only_its_owner_moves_an_app_and_only_into_a_project_of_their_own() {
    let two = two().await;
    two.join(Some(false)).await;
    let (status, made) =
        two.as_alice(Method::POST, "/v1/projects", json!({"project": {"name": "a-elle"}})).await;
    assert_eq!(status, 201, "{made}");
    let hers = json!({"project_id": made["project"]["id"]});
    let path = format!("/v1/apps/{APP}");
    assert_eq!(two.as_alice(Method::PUT, &path, hers.clone()).await.0, 404, "she took it to her bill");
    assert_eq!(two.site.call("PUT", &path, hers).await.0, 404);
}

#[tokio::test]
async fn an_offer_ends_with_its_project_and_no_address_is_twice_in_an_app() {
    let two = two().await;
    let project = project(&two).await;
    two.join(Some(false)).await;
    let invite = json!({"transfer_invitation": {"invited_user_id": two.alice}});
    let invitations = format!("{project}/transfer_invitations");
    let (status, made) = two.site.post(&invitations, invite.clone()).await;
    assert_eq!(status, 201, "{made}");
    let away =
        json!({"project_id": two.site.paas.state().projects.iter().find(|one| one.default).unwrap().id});
    assert_eq!(two.site.call("PUT", &format!("/v1/apps/{APP}"), away).await.0, 200);
    assert_eq!(two.site.call("DELETE", &project, Value::Null).await.0, 204);
    let one = format!("{invitations}/{}", made["transfer_invitation"]["id"].as_str().unwrap());
    assert_eq!(two.as_alice(Method::GET, &one, Value::Null).await.0, 404, "offered, and gone");

    let project = self::project(&two).await;
    let own = json!({"collaborator": {"email": "ops@exemple.test"}});
    assert_eq!(two.site.post(&format!("/v1/apps/{APP}/collaborators"), own).await.0, 201);
    let invitations = format!("{project}/transfer_invitations");
    let made = two.site.post(&invitations, invite).await.1;
    let accept = format!("{invitations}/{}/accept", made["transfer_invitation"]["id"].as_str().unwrap());
    assert_eq!(two.as_alice(Method::POST, &accept, json!({})).await.0, 200);
    let team = two.site.get(&format!("/v1/apps/{APP}/collaborators")).await.1;
    assert_eq!(team["collaborators"].as_array().unwrap().len(), 1, "{team}");
}

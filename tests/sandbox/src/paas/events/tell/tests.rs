//! Calls, and what the timelines say of them.

use super::*;

fn told(method: &str, template: &str, path: &[&str], asked: &Value, answered: &Value) -> Told {
    let app = Known {
        name: "an-app".into(),
        variables: [("v1".to_owned(), "OLD".to_owned())].into(),
        formation: [("web".to_owned(), "1:M".to_owned())].into(),
        domains: [("d1".to_owned(), ("www.exemple.test".to_owned(), false))].into(),
        ..Known::default()
    };
    let path: Vec<String> = path.iter().map(|part| (*part).to_owned()).collect();
    let before = Before {
        app: Some(app),
        user: json!({"username": "agence"}),
        named: String::new(),
        integration: Value::Null,
    };
    let (template, query) = template.split_once('?').unwrap_or((template, ""));
    events(&before, &Call { method, template, path: &path, query, asked, answered })
}

#[test]
fn many_variables_are_one_event_that_tells_new_from_known_and_shows_no_value() {
    let answered =
        json!({"variables": [{"name": "OLD", "value": "secret"}, {"name": "NEW", "value": "secret"}]});
    let all = told("PUT", "/v1/apps/{app}/variables", &["an-app", "variables"], &json!({}), &answered);
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].0, "edit_variables");
    assert_eq!(
        (&all[0].1["new_vars"][0]["name"], &all[0].1["updated_vars"][0]["name"]),
        (&json!("NEW"), &json!("OLD"))
    );
    assert!(!all[0].1.to_string().contains("secret"));
}

#[test]
fn a_scale_tells_both_formations() {
    let answered = json!({"containers": [{"name": "web", "amount": 2, "size": "L"}]});
    let all = told("POST", "/v1/apps/{app}/scale", &["an-app", "scale"], &json!({}), &answered);
    assert_eq!(
        all,
        [("scale", json!({"previous_containers": {"web": "1:M"}, "containers": {"web": "2:L"}}))]
    );
}

#[test]
fn what_is_deleted_is_named_as_it_was() {
    let path = ["an-app", "domains", "d1"];
    let all = told("DELETE", "/v1/apps/{app}/domains/{id}", &path, &Value::Null, &Value::Null);
    assert_eq!(all, [("delete_domain", json!({"hostname": "www.exemple.test"}))]);
    let path = ["an-app", "variables", "v1"];
    let all = told("DELETE", "/v1/apps/{app}/variables/{id}", &path, &Value::Null, &Value::Null);
    assert_eq!((all[0].0, &all[0].1["name"]), ("delete_variable", &json!("OLD")));
}

#[test]
fn an_autoscaler_event_has_its_numbers_as_text() {
    let answered = json!({"autoscaler": {"container_type": "web", "min_containers": 2, "max_containers": 4, "metric": "cpu", "target": 0.5}});
    let all = told("POST", "/v1/apps/{app}/autoscalers", &["an-app", "autoscalers"], &json!({}), &answered);
    assert_eq!((all[0].0, &all[0].1["min_containers"]), ("new_autoscaler", &json!("2")));
}

#[test]
fn a_changed_alert_makes_no_event() {
    let answered = json!({"alert": {"id": "a1", "container_type": "web", "metric": "cpu", "limit": 0.9}});
    let path = ["an-app", "alerts", "a1"];
    let all = told("PATCH", "/v1/apps/{app}/alerts/{id}", &path, &json!({}), &answered);
    assert_eq!(all, []);
}

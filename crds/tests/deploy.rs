//! The manifests of deploy/kubernetes, held against Kubernetes' own types: what one of these does not know would be lost on the way
//! through it. Of the other files of deploy that are YAML it is seen that they are.

#![cfg(test)]

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use reprise_crds::yaml;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

const MANIFESTS: [&str; 2] = [
    include_str!("../../deploy/kubernetes/reprise.yaml"),
    include_str!("../../deploy/kubernetes/network-policy.yaml"),
];

const OTHERS: [&str; 2] = [
    include_str!("../../deploy/kubernetes/service-monitor.yaml"),
    include_str!("../../deploy/compose/compose.yaml"),
];

fn through<T: DeserializeOwned + Serialize>(document: &Value) -> Value {
    let typed: T = serde_json::from_value(document.clone()).expect("it fits its kind");
    serde_json::to_value(typed).expect("JSON")
}

#[test]
fn every_field_is_one_that_kubernetes_knows() {
    let mut kinds = Vec::new();
    for text in MANIFESTS.iter().flat_map(|text| yaml::documents(text)) {
        let document = yaml::read(text).expect("YAML");
        assert!(document.problems.is_empty(), "{:?}", document.problems);
        let document = document.value;
        let kind = document["kind"].as_str().expect("a kind").to_owned();
        let back = match kind.as_str() {
            "Service" => through::<Service>(&document),
            "StatefulSet" => through::<StatefulSet>(&document),
            "NetworkPolicy" => through::<NetworkPolicy>(&document),
            other => panic!("nobody looks at a {other}"),
        };
        assert_eq!(back, document, "{kind}");
        kinds.push(kind);
    }
    assert_eq!(kinds, ["Service", "StatefulSet", "NetworkPolicy"]);
}

#[test]
fn what_kubernetes_has_no_type_for_is_yaml_at_least() {
    for text in OTHERS {
        let document = yaml::read(text).expect("YAML");
        assert!(document.problems.is_empty(), "{:?}", document.problems);
    }
}

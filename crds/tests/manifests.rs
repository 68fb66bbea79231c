//! The generated files are those of the types of today.

#![cfg(test)]

use std::path::Path;

#[test]
fn the_generated_files_are_current() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests");
    for manifest in reprise_crds::manifests::all().unwrap() {
        let stored = std::fs::read_to_string(folder.join(&manifest.name)).unwrap_or_default();
        assert!(
            stored == manifest.text,
            "{} is stale: run `cargo run -p reprise-crds --bin reprise-crds-manifests`",
            manifest.name
        );
    }
}

#[test]
fn each_definition_is_a_structural_one() {
    for manifest in reprise_crds::manifests::all().unwrap().iter().filter(|it| !it.name.contains(".schema."))
    {
        let crd = reprise_crds::yaml::read(&manifest.text).unwrap().value;
        let version = &crd["spec"]["versions"][0];
        assert_eq!(crd["spec"]["group"], "reprise.dev");
        assert_eq!((&version["name"], &version["served"]), (&"v1alpha1".into(), &true.into()));
        assert_eq!(version["subresources"], serde_json::json!({ "status": {} }));
        structural(&version["schema"]["openAPIV3Schema"], &manifest.name);
    }
}

/// Kubernetes takes one type a schema, and no references or choices of types.
fn structural(schema: &serde_json::Value, at: &str) {
    let members = schema.as_object().unwrap_or_else(|| panic!("{at} is no schema"));
    for foreign in ["$ref", "$defs", "oneOf", "anyOf", "allOf", "not", "uniqueItems"] {
        assert!(!members.contains_key(foreign), "{at}: {foreign}");
    }
    assert!(
        schema["type"].is_string() || schema["x-kubernetes-preserve-unknown-fields"] == true,
        "{at} has no type"
    );
    if let Some(properties) = schema["properties"].as_object() {
        assert!(!members.contains_key("additionalProperties"), "{at}: both kinds of properties");
        properties.iter().for_each(|(name, below)| structural(below, &format!("{at}.{name}")));
    }
    for keyword in ["items", "additionalProperties"] {
        if let Some(below) = members.get(keyword) {
            structural(below, &format!("{at}.{keyword}"));
        }
    }
}

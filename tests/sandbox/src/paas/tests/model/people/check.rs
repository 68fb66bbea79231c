//! What must hold after each call.

use std::collections::BTreeSet;

use super::Play;
use crate::paas::session::role;

impl Play {
    /// The state is the model's, and consistent in itself.
    pub(super) fn check(&self) {
        let state = self.site.paas.state();
        let names: BTreeSet<&str> = state.apps.iter().map(|app| app.name.as_str()).collect();
        assert_eq!(names, self.apps.keys().map(String::as_str).collect(), "apps");
        for app in &state.apps {
            let known = &self.apps[&app.name];
            let name = &app.name;
            assert_eq!((&app.owner, &app.project), (&self.people[known.owner].id, &known.project), "{name}");
            let project =
                state.projects.iter().find(|one| one.id == app.project).expect("it is in a project");
            assert_eq!(project.owner, app.owner, "{name} is in somebody else's project");
            for (n, person) in self.people.iter().enumerate() {
                assert_eq!(role(app, &person.id), known.role(n), "{} in {name}", person.email);
            }
            let emails: Vec<String> =
                app.collaborators.iter().map(|who| who.email.to_ascii_lowercase()).collect();
            let mut told = emails.clone();
            told.sort();
            assert_eq!(told, known.team.keys().cloned().collect::<Vec<_>>(), "the team of {name}");
            let users: Vec<_> = app.collaborators.iter().filter_map(|who| who.user.as_ref()).collect();
            let once: BTreeSet<_> = users.iter().copied().chain([&app.owner]).collect();
            assert_eq!(once.len(), users.len() + 1, "somebody is twice in {name}: {users:?}");
        }
        for person in &self.people {
            let own: Vec<_> = state.projects.iter().filter(|one| one.owner == person.id).collect();
            let called: BTreeSet<_> = own.iter().map(|one| &one.name).collect();
            assert_eq!(called.len(), own.len(), "two projects of {} have one name", person.email);
            assert_eq!(own.iter().filter(|one| one.default).count(), 1, "defaults of {}", person.email);
        }
        let now = self.site.world.clock.elapsed().as_secs_f64();
        for one in state.transfers.iter().filter(|one| one.is_pending(now)) {
            let project = state.projects.iter().find(|project| project.id == one.project);
            assert_eq!(
                project.map(|project| &project.owner),
                Some(&one.inviter),
                "an offer of {}",
                one.project
            );
        }
    }
}

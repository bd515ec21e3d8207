//! How features register their routes: each once, to be served and to be documented.
//!
//! A worker only serves. It does without the schemas of the document, which take more memory than all else that it has.

use actix_web::dev::HttpServiceFactory;
use actix_web::web;
use utoipa::openapi::path::{Paths, PathsMap};
use utoipa::openapi::schema::Schema;
use utoipa::openapi::{Components, OpenApi, RefOr};
use utoipa_actix_web::OpenApiFactory;

/// Takes the routes of features.
pub struct ServiceConfig<'a> {
    actix: &'a mut web::ServiceConfig,
    /// What is documented; none where routes are only served.
    collected: Option<Collected>,
}

#[derive(Default)]
struct Collected {
    paths: Paths,
    schemas: Vec<(String, RefOr<Schema>)>,
}

impl ServiceConfig<'_> {
    /// Adds the routes of a feature.
    pub fn configure(&mut self, feature: impl FnOnce(&mut ServiceConfig<'_>)) -> &mut Self {
        feature(self);
        self
    }

    /// Adds a handler or a scope.
    pub fn service(&mut self, service: impl Service) -> &mut Self {
        service.register(self);
        self
    }

    /// Adds what the document leaves out.
    pub fn undocumented(&mut self, service: impl HttpServiceFactory + 'static) -> &mut Self {
        self.actix.service(service);
        self
    }
}

/// What a [`ServiceConfig`] takes.
pub trait Service {
    /// Adds it to `config`.
    fn register(self, config: &mut ServiceConfig<'_>);
}

impl<H: HttpServiceFactory + OpenApiFactory + 'static> Service for H {
    fn register(self, config: &mut ServiceConfig<'_>) {
        if let Some(collected) = &mut config.collected {
            collected.paths.merge(self.paths());
            self.schemas(&mut collected.schemas);
        }
        config.actix.service(self);
    }
}

type Part = Box<dyn FnOnce(&mut ServiceConfig<'_>)>;

/// Routes under one path.
pub struct Scope {
    path: &'static str,
    parts: Vec<Part>,
}

/// Routes under `path`; actix takes the first scope that fits a request, so that a path has one alone.
#[must_use]
pub fn scope(path: &'static str) -> Scope {
    Scope { path, parts: Vec::new() }
}

impl Scope {
    /// Adds the routes of a part of the feature.
    #[must_use]
    pub fn configure(mut self, part: impl FnOnce(&mut ServiceConfig<'_>) + 'static) -> Self {
        self.parts.push(Box::new(part));
        self
    }

    /// Adds a handler.
    #[must_use]
    pub fn service(self, service: impl Service + 'static) -> Self {
        self.configure(|config| service.register(config))
    }
}

impl Service for Scope {
    fn register(self, config: &mut ServiceConfig<'_>) {
        let Self { path, parts } = self;
        let mut within = config.collected.is_some().then(Collected::default);
        let scope = web::scope(path).configure(|actix| {
            let mut config = ServiceConfig { actix, collected: within.take() };
            for part in parts {
                part(&mut config);
            }
            within = config.collected;
        });
        config.actix.service(scope);
        if let (Some(collected), Some(within)) = (&mut config.collected, within) {
            collected.schemas.extend(within.schemas);
            let mut paths = within.paths;
            paths.paths =
                paths.paths.into_iter().map(|(rest, item)| (format!("{path}{rest}"), item)).collect::<PathsMap<_, _>>();
            collected.paths.merge(paths);
        }
    }
}

/// Serves the routes of `features`.
pub fn serve(actix: &mut web::ServiceConfig, features: impl FnOnce(&mut ServiceConfig<'_>)) {
    features(&mut ServiceConfig { actix, collected: None });
}

/// Adds the routes of `features` to a document.
pub fn describe(document: &mut OpenApi, features: impl FnOnce(&mut ServiceConfig<'_>)) {
    let mut collected = None;
    let _unserved = actix_web::App::new().configure(|actix| {
        let mut config = ServiceConfig { actix, collected: Some(Collected::default()) };
        features(&mut config);
        collected = config.collected;
    });
    let Collected { paths, schemas } = collected.unwrap_or_default();
    document.paths.merge(paths);
    document.components.get_or_insert_with(Components::new).schemas.extend(schemas);
}

//! The documentation that the server shows of itself: the OpenAPI document, Swagger UI, and the problem codes, all on one page
//! and each on its own.
//! Everything comes from the binary; no page asks another server for anything.

use std::sync::Arc;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, get, web};
use utoipa_swagger_ui::Config;

use crate::auth::principal::Visitor;
use crate::error::{Code, Error, Result};
use crate::html::escape;
use crate::http::conditional_bytes;
use crate::http::routes::ServiceConfig;
use crate::openapi;

/// What a page under `/docs` may do: Swagger UI styles itself and draws images from data URLs.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";

/// `/openapi.json` and everything under `/docs`.
pub fn routes(config: &mut ServiceConfig) {
    config.service(document).service(overview).service(problem_index).service(problem_page).undocumented(file);
}

/// Get the OpenAPI document.
///
/// The OpenAPI 3.1 document of this API, generated from its code.
#[utoipa::path(
    tag = "Service",
    operation_id = "getDocument",
    responses((status = 200, description = "The document", body = serde_json::Value, content_type = "application/json",
        example = json!({"openapi": "3.1.0", "info": {"title": "Stape API", "version": "0.1.0"}, "paths": {}}))),
    extensions(("x-conditional" = json!("read")), ("x-refusals" = json!(["unknownParameter"]))),
    security(())
)]
#[get("/openapi.json")]
async fn document(_: Visitor, request: HttpRequest) -> HttpResponse {
    cacheable(conditional_bytes(&request, "application/json", openapi::COMMITTED.into()))
}

/// Browse the documentation.
///
/// Swagger UI over the OpenAPI document.
#[utoipa::path(
    tag = "Service",
    operation_id = "getDocumentation",
    responses((status = 200, description = "A web page", body = String, content_type = "text/html")),
    security(())
)]
#[get("/docs")]
async fn overview() -> Result<HttpResponse> {
    index()
}

/// List the problem codes.
///
/// Every code with its HTTP status, what it means and what to do about it; each leads to its page.
#[utoipa::path(
    tag = "Service",
    operation_id = "listProblemCodes",
    responses((status = 200, description = "A web page", body = String, content_type = "text/html")),
    security(())
)]
#[get("/docs/errors")]
async fn problem_index() -> HttpResponse {
    html(index_html())
}

/// Read about a problem code.
///
/// What a code means and what to do about it; `type` of every problem leads here.
#[utoipa::path(
    tag = "Service",
    operation_id = "getProblemCode",
    params(("code" = String, Path, description = "The code of a problem", example = "validationFailed")),
    responses((status = 200, description = "A web page", body = String, content_type = "text/html")),
    security(())
)]
#[get("/docs/errors/{code}")]
async fn problem_page(name: web::Path<String>) -> Result<HttpResponse> {
    Code::named(&name).map(|code| html(problem_html(code))).ok_or_else(Error::not_found)
}

/// A file of Swagger UI.
#[get("/docs/{file:.*}")]
async fn file(name: web::Path<String>) -> Result<HttpResponse> {
    if matches!(name.as_str(), "" | "index.html") {
        return index();
    }
    let file = swagger(&name)?;
    let mut response = HttpResponse::Ok();
    response.content_type(file.content_type).insert_header((header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY));
    if file.gzpipped {
        response.insert_header(header::ContentEncoding::Gzip);
    }
    Ok(cacheable(response.body(file.bytes.into_owned())))
}

/// The page, which looks for its files under `/docs/` wherever it is itself.
fn index() -> Result<HttpResponse> {
    let page = String::from_utf8(swagger("index.html")?.bytes.into_owned()).map_err(Error::internal)?;
    let page = page
        .replace("\"./", "\"/docs/")
        .replace("\"index.css\"", "\"/docs/index.css\"")
        .replace("<title>Swagger UI</title>", "<title>Stape API</title>");
    Ok(html(page))
}

fn swagger(name: &str) -> Result<utoipa_swagger_ui::SwaggerFile<'static>> {
    let config = Config::from("/openapi.json").validator_url("none").deep_linking(true);
    utoipa_swagger_ui::serve(name, Arc::new(config)).map_err(Error::internal)?.ok_or_else(Error::not_found)
}

fn html(page: String) -> HttpResponse {
    let policy = (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY);
    cacheable(HttpResponse::Ok().content_type(HTML).insert_header(policy).body(page))
}

/// May be kept, but is asked for again: another version of the server has other pages.
fn cacheable(mut response: HttpResponse) -> HttpResponse {
    response.headers_mut().insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-cache"));
    response
}

fn problem_html(code: Code) -> String {
    let (name, status, title) = (code.name(), code.status(), escape(code.title()));
    let remedy = code_spans(&escape(code.remedy()));
    page(
        name,
        "40rem",
        &format!(
            "<h1>{title}</h1>\n<p><code>{name}</code>, HTTP status {status}</p>\n<h2>What to do</h2>\n<p>{remedy}</p>\n\
             <p>The answer's <code>detail</code> says what was wrong this time, <code>errors</code> where; tell the support \
             its <code>requestId</code>.</p>\n<p><a href=\"/docs/errors\">All codes</a></p>\n"
        ),
    )
}

fn index_html() -> String {
    let row = |code: &Code| {
        let (name, status, title) = (code.name(), code.status(), escape(code.title()));
        let remedy = code_spans(&escape(code.remedy()));
        format!(
            "<tr><td><a href=\"/docs/errors/{name}\"><code>{name}</code></a></td><td>{status}</td><td>{title}</td>\
             <td>{remedy}</td></tr>\n"
        )
    };
    let rows: String = Code::ALL.iter().map(row).collect();
    page(
        "Problem codes",
        "72rem",
        &format!(
            "<h1>Problem codes</h1>\n<table>\n<thead><tr><th>Code</th><th>Status</th><th>Meaning</th><th>What to do</th></tr>\
             </thead>\n<tbody>\n{rows}</tbody>\n</table>\n"
        ),
    )
}

/// A web page around `content`, at most so wide.
fn page(title: &str, width: &str, content: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title} – Stape API</title>\n\
         <style>body {{ font: 1rem/1.6 system-ui, sans-serif; max-width: {width}; margin: 4rem auto; padding: 0 1rem; }} \
         code {{ background: #eee; padding: 0.1em 0.3em; border-radius: 3px; }} table {{ border-collapse: collapse; }} \
         th, td {{ padding: 0.3em 0.6em; border-bottom: 1px solid #ddd; text-align: left; vertical-align: top; }}</style>\n\
         </head>\n<body>\n{content}<p><a href=\"/docs\">Documentation of the API</a></p>\n</body>\n</html>\n"
    )
}

/// Text between backticks as code.
fn code_spans(text: &str) -> String {
    let span = |(index, part): (usize, &str)| {
        if index % 2 == 1 { format!("<code>{part}</code>") } else { part.to_owned() }
    };
    text.split('`').enumerate().map(span).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_page_of_its_own() {
        for code in Code::ALL {
            let page = problem_html(*code);
            assert!(page.contains(code.name()) && !page.contains('`'), "{}", code.name());
            assert!(page.contains("<a href=\"/docs/errors\">"), "{}", code.name());
        }
    }

    #[test]
    fn the_index_leads_to_every_code() {
        let page = index_html();
        assert!(!page.contains('`'));
        for code in Code::ALL {
            assert!(page.contains(&format!("<a href=\"/docs/errors/{}\">", code.name())), "{}", code.name());
            assert!(page.contains(&code_spans(&escape(code.remedy()))), "{}", code.name());
        }
    }

    #[test]
    fn the_page_asks_no_other_server() {
        let page = String::from_utf8(swagger("index.html").unwrap().bytes.into_owned()).unwrap();
        assert!(!page.contains("http://") && !page.contains("https://"));
        let script = String::from_utf8(swagger("swagger-initializer.js").unwrap().bytes.into_owned()).unwrap();
        assert!(script.contains("/openapi.json") && !script.contains("petstore"), "{script}");
    }
}

//! The ceiling of the bench: actix-web alone, answering a small constant JSON. Its address is its only argument.

use actix_web::{App, HttpResponse, HttpServer, web};

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9090".to_owned());
    let ok = || async { HttpResponse::Ok().content_type("application/json").body(r#"{"status":"ok"}"#) };
    HttpServer::new(move || App::new().route("/", web::get().to(ok))).bind(address)?.run().await
}

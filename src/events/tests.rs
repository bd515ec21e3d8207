//! The numbers of events: without gaps, in the order given, each account by itself.

use super::*;
use crate::accounts::service::{self, NewAccount};
use crate::accounts::{AccountKind, AccountRow};
use crate::db::new_database;
use crate::id::ContainerId;

fn with_database(work: impl FnOnce(&mut Conn, &Context) -> Result<()> + Send + Sync + Clone + 'static) {
    let (_directory, db) = new_database();
    let context = Context::system(Timestamp::machine());
    db.write_blocking(move |conn| work.clone()(conn, &context)).unwrap();
}

fn client(conn: &mut Conn, context: &Context, email: &str) -> Result<AccountRow> {
    let names = || "Ann".to_owned();
    let new = NewAccount {
        kind: AccountKind::Standard,
        email: email.to_owned(),
        first_name: names(),
        last_name: names(),
        company_name: None,
        password_hash: None,
    };
    service::create(conn, context, new)
}

#[test]
fn a_batch_goes_on_where_single_events_ended_in_the_order_given() {
    with_database(|conn, context| {
        let (ann, bob) = (client(conn, context, "ann@a.example")?.id, client(conn, context, "bob@b.example")?.id);
        let containers: Vec<_> = (0..1_250).map(|_| ContainerId::new(context.now)).collect();
        let batch: Vec<_> = containers
            .iter()
            .flat_map(|id| [(ann, *id), (bob, *id)])
            .map(|(account_id, id)| NewEvent {
                account_id,
                event_type: EventType::ContainerUpdated,
                resource: id.into(),
            })
            .collect();
        record_many(conn, context.now, &batch)?;
        record(conn, context, ann, EventType::AccountUpdated, ann)?;
        let feed = list(conn, ann, 0, 2_000)?;
        let numbers: Vec<i64> = feed.iter().map(|event| event.sequence).collect();
        assert_eq!(numbers, (1..=1_252).collect::<Vec<i64>>());
        let named: Vec<_> = feed[1..1_251].iter().map(|event| event.resource_id.clone()).collect();
        assert_eq!(named, containers.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(feed[0].event_type, EventType::AccountCreated);
        assert_eq!(feed[1_251].event_type, EventType::AccountUpdated);
        assert_eq!(list(conn, bob, 1_250, 10)?.len(), 1);
        Ok(())
    });
}

#[test]
fn an_event_of_nobody_is_a_fault() {
    with_database(|conn, context| {
        let nobody = AccountId::new(context.now);
        assert!(record(conn, context, nobody, EventType::AccountUpdated, nobody).is_err());
        record_many(conn, context.now, &[])
    });
}

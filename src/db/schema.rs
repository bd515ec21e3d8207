//! Every table, as both engines have it. Owns nothing but names and types; a test compares it with the migrations.
#![allow(missing_docs, reason = "the columns are documented in the migrations and on the row types")]

use diesel::{allow_tables_to_appear_in_same_query, table};

table! {
    settings (name) {
        name -> Text,
        value -> Text,
    }
}

table! {
    accounts (id) {
        id -> Text,
        kind -> Text,
        email -> Text,
        first_name -> Text,
        last_name -> Text,
        company_name -> Nullable<Text>,
        blocked_at -> Nullable<Timestamp>,
        manager_id -> Nullable<Text>,
        level -> Nullable<Integer>,
        level_pinned -> Bool,
        event_sequence -> BigInt,
        created_at -> Timestamp,
        search_text -> Text,
    }
}

table! {
    users (id) {
        id -> Text,
        account_id -> Text,
        email -> Text,
        first_name -> Text,
        last_name -> Text,
        role -> Text,
        password_hash -> Nullable<Text>,
        created_at -> Timestamp,
    }
}

table! {
    user_emails (email_key) {
        email_key -> Text,
        user_id -> Text,
    }
}

table! {
    sessions (id) {
        id -> Text,
        user_id -> Text,
        refresh_hash -> Binary,
        created_at -> Timestamp,
        expires_at -> Timestamp,
        ended_at -> Nullable<Timestamp>,
    }
}

table! {
    api_keys (account_id, id) {
        account_id -> Text,
        id -> Text,
        name -> Text,
        hint -> Text,
        scopes -> Text,
        expires_at -> Nullable<Timestamp>,
        last_used_at -> Nullable<Timestamp>,
        revoked_at -> Nullable<Timestamp>,
        created_at -> Timestamp,
    }
}

table! {
    api_key_hashes (hash) {
        hash -> Binary,
        account_id -> Text,
        key_id -> Text,
    }
}

table! {
    operator_keys (id) {
        id -> Text,
        name -> Text,
        hash -> Binary,
        hint -> Text,
        scopes -> Text,
        last_used_at -> Nullable<Timestamp>,
        revoked_at -> Nullable<Timestamp>,
        created_at -> Timestamp,
    }
}

table! {
    idempotency_keys (account_id, credential, operation, key) {
        account_id -> Text,
        credential -> Text,
        operation -> Text,
        key -> Text,
        fingerprint -> Binary,
        status -> Integer,
        location -> Nullable<Text>,
        body -> Nullable<Text>,
        created_at -> Timestamp,
    }
}

table! {
    audit_log (id) {
        id -> Text,
        account_id -> Nullable<Text>,
        actor_type -> Text,
        actor_id -> Text,
        acting_account_id -> Nullable<Text>,
        action -> Text,
        resource_type -> Text,
        resource_id -> Text,
        details -> Nullable<Text>,
        request_id -> Text,
        created_at -> Timestamp,
    }
}

table! {
    events (account_id, sequence) {
        account_id -> Text,
        sequence -> BigInt,
        event_type -> Text,
        resource_type -> Text,
        resource_id -> Text,
        occurred_at -> Timestamp,
    }
}

table! {
    program_versions (version) {
        version -> Integer,
        config -> Text,
        author -> Text,
        created_at -> Timestamp,
    }
}

table! {
    partner_applications (account_id, id) {
        account_id -> Text,
        id -> Text,
        status -> Text,
        paid_containers -> BigInt,
        referral_value_minor -> BigInt,
        currency -> Text,
        eligible -> Bool,
        reason -> Nullable<Text>,
        created_at -> Timestamp,
        decided_at -> Nullable<Timestamp>,
    }
}

table! {
    partner_levels (account_id, id) {
        account_id -> Text,
        id -> Text,
        level -> Integer,
        pinned -> Bool,
        reason -> Text,
        author -> Text,
        effective_from -> Timestamp,
    }
}

table! {
    rate_overrides (account_id, id) {
        account_id -> Text,
        id -> Text,
        product -> Text,
        rate_bps -> Nullable<Integer>,
        reason -> Text,
        author -> Text,
        effective_from -> Timestamp,
    }
}

table! {
    sub_account_links (account_id, id) {
        account_id -> Text,
        id -> Text,
        client_id -> Text,
        origin -> Text,
        access -> Text,
        access_changed_at -> Timestamp,
        billing -> Text,
        note -> Nullable<Text>,
        linked_at -> Timestamp,
        detached_at -> Nullable<Timestamp>,
    }
}

table! {
    containers (id) {
        id -> Text,
        account_id -> Text,
        manager_id -> Nullable<Text>,
        name -> Text,
        product -> Text,
        zone -> Text,
        status -> Text,
        errors -> Text,
        status_at -> Nullable<Timestamp>,
        plan -> Text,
        billing_period -> Text,
        subscription_status -> Text,
        price_minor -> BigInt,
        currency -> Text,
        current_period_start -> Nullable<Timestamp>,
        current_period_end -> Nullable<Timestamp>,
        cancel_at_period_end -> Bool,
        next_payment_at -> Nullable<Timestamp>,
        subscription_changed_at -> Nullable<Timestamp>,
        last_payment_at -> Nullable<Timestamp>,
        usage_requests -> BigInt,
        usage_period_start -> Nullable<Timestamp>,
        usage_period_end -> Nullable<Timestamp>,
        limit_exceeded_at -> Nullable<Timestamp>,
        created_at -> Timestamp,
        updated_at -> Timestamp,
        deleted_at -> Nullable<Timestamp>,
        search_text -> Text,
    }
}

table! {
    container_owners (container_id, id) {
        container_id -> Text,
        id -> Text,
        account_id -> Text,
        owned_from -> Timestamp,
    }
}

table! {
    billing_events (id) {
        id -> Text,
        event_type -> Text,
        fingerprint -> Binary,
        commission_id -> Nullable<Text>,
        occurred_at -> Timestamp,
        received_at -> Timestamp,
    }
}

table! {
    payments (id) {
        id -> Text,
        external_id -> Text,
        account_id -> Text,
        manager_id -> Nullable<Text>,
        container_id -> Text,
        plan -> Text,
        billing_period -> Text,
        currency -> Text,
        amount_minor -> BigInt,
        tax_minor -> BigInt,
        refunded_minor -> BigInt,
        payer -> Text,
        reason -> Text,
        occurred_at -> Timestamp,
        period_start -> Timestamp,
        period_end -> Timestamp,
        commission_id -> Nullable<Text>,
        created_at -> Timestamp,
    }
}

table! {
    refunds (external_id) {
        external_id -> Text,
        payment_id -> Text,
        amount_minor -> BigInt,
        reason -> Text,
        occurred_at -> Timestamp,
        created_at -> Timestamp,
    }
}

table! {
    commissions (account_id, id) {
        account_id -> Text,
        id -> Text,
        kind -> Text,
        status -> Text,
        reason -> Nullable<Text>,
        client_id -> Nullable<Text>,
        client_email -> Nullable<Text>,
        client_name -> Nullable<Text>,
        container_id -> Nullable<Text>,
        container_name -> Nullable<Text>,
        product -> Nullable<Text>,
        plan -> Nullable<Text>,
        billing_period -> Nullable<Text>,
        payment_id -> Nullable<Text>,
        payment_external_id -> Nullable<Text>,
        payment_amount_minor -> Nullable<BigInt>,
        payment_occurred_at -> Nullable<Timestamp>,
        currency -> Text,
        base_minor -> Nullable<BigInt>,
        rate_bps -> Nullable<Integer>,
        rate_source -> Nullable<Text>,
        level -> Nullable<Integer>,
        program_version -> Nullable<Integer>,
        review_days -> Nullable<Integer>,
        amount_minor -> BigInt,
        reversed_minor -> BigInt,
        refund_adjusted_minor -> BigInt,
        review_until -> Nullable<Timestamp>,
        ready_at -> Nullable<Timestamp>,
        payout_id -> Nullable<Text>,
        adjusts -> Nullable<Text>,
        note -> Nullable<Text>,
        created_at -> Timestamp,
    }
}

table! {
    ledger_entries (account_id, id) {
        account_id -> Text,
        id -> Text,
        posting_id -> Text,
        ledger_account -> Text,
        kind -> Text,
        currency -> Text,
        amount_minor -> BigInt,
        balance_minor -> BigInt,
        commission_id -> Nullable<Text>,
        payout_id -> Nullable<Text>,
        created_at -> Timestamp,
    }
}

table! {
    ledger_balances (account_id, currency) {
        account_id -> Text,
        currency -> Text,
        program_minor -> BigInt,
        in_review_minor -> BigInt,
        ready_minor -> BigInt,
        in_payout_minor -> BigInt,
        paid_minor -> BigInt,
        last_entry_id -> Nullable<Text>,
    }
}

table! {
    container_counts (account_id, product, plan) {
        account_id -> Text,
        product -> Text,
        plan -> Text,
        containers -> BigInt,
    }
}

table! {
    paid_container_groups (account_id, currency, product, billing_period, price_minor) {
        account_id -> Text,
        currency -> Text,
        product -> Text,
        billing_period -> Text,
        price_minor -> BigInt,
        containers -> BigInt,
    }
}

table! {
    manager_values (account_id, currency) {
        account_id -> Text,
        currency -> Text,
        paid_containers -> BigInt,
        monthly_minor -> BigInt,
        referral_minor -> BigInt,
    }
}

table! {
    referral_links (account_id, id) {
        account_id -> Text,
        id -> Text,
        code -> Text,
        name -> Text,
        source -> Nullable<Text>,
        target_url -> Nullable<Text>,
        is_default -> Bool,
        enabled -> Bool,
        created_at -> Timestamp,
    }
}

table! {
    referral_codes (code) {
        code -> Text,
        account_id -> Text,
        link_id -> Text,
    }
}

table! {
    operator_requests (account_id, id) {
        account_id -> Text,
        id -> Text,
        request_type -> Text,
        container_id -> Nullable<Text>,
        status -> Text,
        details -> Text,
        reason -> Nullable<Text>,
        created_at -> Timestamp,
        closed_at -> Nullable<Timestamp>,
    }
}

table! {
    mails (id) {
        id -> Text,
        user_id -> Nullable<Text>,
        email -> Nullable<Text>,
        letter -> Text,
        attempts -> Integer,
        next_attempt_at -> Timestamp,
        created_at -> Timestamp,
    }
}

table! {
    password_tokens (user_id) {
        user_id -> Text,
        hash -> Binary,
        kind -> Text,
        expires_at -> Timestamp,
        created_at -> Timestamp,
    }
}

table! {
    access_requests (account_id, id) {
        account_id -> Text,
        id -> Text,
        manager_id -> Text,
        kind -> Text,
        status -> Text,
        created_at -> Timestamp,
        decided_at -> Nullable<Timestamp>,
    }
}

table! {
    payout_methods (account_id, currency) {
        account_id -> Text,
        currency -> Text,
        method_type -> Text,
        label -> Text,
        details -> Binary,
        created_at -> Timestamp,
        changed_at -> Timestamp,
    }
}

table! {
    payouts (account_id, id) {
        account_id -> Text,
        id -> Text,
        number -> Text,
        status -> Text,
        currency -> Text,
        amount_minor -> BigInt,
        line_count -> BigInt,
        method_type -> Text,
        method_label -> Text,
        method_details -> Binary,
        requested_by -> Text,
        requested_at -> Timestamp,
        approved_at -> Nullable<Timestamp>,
        started_at -> Nullable<Timestamp>,
        paid_at -> Nullable<Timestamp>,
        closed_at -> Nullable<Timestamp>,
        reference -> Nullable<Text>,
        reason -> Nullable<Text>,
        batch_id -> Nullable<Text>,
        returned_by -> Nullable<Text>,
        created_at -> Timestamp,
    }
}

table! {
    payout_lines (account_id, payout_id, line_id) {
        account_id -> Text,
        payout_id -> Text,
        line_id -> Text,
        amount_minor -> BigInt,
    }
}

table! {
    payout_numbers (account_id, year) {
        account_id -> Text,
        year -> Integer,
        last_number -> BigInt,
    }
}

table! {
    payout_schedules (account_id) {
        account_id -> Text,
        schedule_type -> Text,
        day_of_month -> Nullable<Integer>,
        minimums -> Text,
        changed_at -> Timestamp,
    }
}

table! {
    scheduled_payouts (account_id, currency) {
        account_id -> Text,
        currency -> Text,
        scheduled_for -> Timestamp,
        due_at -> Timestamp,
    }
}

table! {
    payout_batches (id) {
        id -> Text,
        format -> Text,
        currency -> Text,
        amount_minor -> BigInt,
        payout_count -> BigInt,
        created_at -> Timestamp,
    }
}

table! {
    ledger_months (account_id, currency, month) {
        account_id -> Text,
        currency -> Text,
        month -> Timestamp,
        earned_minor -> BigInt,
        posted_minor -> BigInt,
        reversed_minor -> BigInt,
        adjusted_minor -> BigInt,
        paid_minor -> BigInt,
    }
}

table! {
    clicks (account_id, id) {
        account_id -> Text,
        id -> Text,
        link_id -> Text,
        source -> Nullable<Text>,
        visitor_hash -> Binary,
        created_at -> Timestamp,
    }
}

table! {
    link_visitors (account_id, link_id, day, visitor_hash) {
        account_id -> Text,
        link_id -> Text,
        day -> Timestamp,
        visitor_hash -> Binary,
    }
}

table! {
    visitor_keys (day) {
        day -> Timestamp,
        key -> Binary,
    }
}

table! {
    referrals (client_id) {
        client_id -> Text,
        account_id -> Text,
        link_id -> Text,
        click_id -> Nullable<Text>,
        signed_up_at -> Timestamp,
        first_paid_at -> Nullable<Timestamp>,
    }
}

table! {
    link_statistics (account_id, link_id, day) {
        account_id -> Text,
        link_id -> Text,
        day -> Timestamp,
        clicks -> BigInt,
        unique_visitors -> BigInt,
        sign_ups -> BigInt,
        paying_clients -> BigInt,
    }
}

table! {
    client_alerts (client_id) {
        client_id -> Text,
        account_id -> Text,
        limit_exceeded -> Bool,
        with_errors -> Bool,
    }
}

table! {
    manager_alerts (account_id) {
        account_id -> Text,
        limit_exceeded -> BigInt,
        with_errors -> BigInt,
    }
}

allow_tables_to_appear_in_same_query!(
    settings,
    accounts,
    users,
    user_emails,
    sessions,
    api_keys,
    api_key_hashes,
    operator_keys,
    idempotency_keys,
    audit_log,
    events,
    program_versions,
    partner_applications,
    partner_levels,
    rate_overrides,
    sub_account_links,
    containers,
    container_owners,
    billing_events,
    payments,
    refunds,
    commissions,
    ledger_entries,
    ledger_balances,
    container_counts,
    paid_container_groups,
    manager_values,
    referral_links,
    referral_codes,
    operator_requests,
    mails,
    password_tokens,
    access_requests,
    payout_methods,
    payouts,
    payout_lines,
    payout_numbers,
    payout_schedules,
    scheduled_payouts,
    payout_batches,
    ledger_months,
    clicks,
    link_visitors,
    visitor_keys,
    referrals,
    link_statistics,
    client_alerts,
    manager_alerts,
);

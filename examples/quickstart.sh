#!/bin/sh
# A new agency's first steps with curl: sign up, sign in, make a key, add a client and a container, look at them.
#
#   STAPE_URL=http://127.0.0.1:8080 sh quickstart.sh
#
# Needs curl and sed. Each run signs a new agency up.
set -eu

: "${STAPE_URL:?set it to the address that the server prints, such as http://127.0.0.1:8080}"

run=$(date +%s)-$$
password="tr0mbone-Lagoon-$run"

# call METHOD PATH BODY HEADER…: prints the answer; a refusal is shown and ends the script.
call() {
    method=$1 path=$2 body=$3
    shift 3
    curl --silent --show-error --fail-with-body --retry 3 --request "$method" "$STAPE_URL$path" \
        --header 'Content-Type: application/json' "$@" ${body:+--data "$body"}
}

# field NAME: the first field of this name in the JSON on standard input.
field() {
    sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p" | head -n 1
}

echo '1. Sign up as an agency'
call POST /v3/accounts "{\"kind\": \"agency\", \"email\": \"ann-$run@agency.example\", \"password\": \"$password\",
    \"firstName\": \"Ann\", \"lastName\": \"Archer\", \"companyName\": \"Archer Analytics\"}"
echo

echo '2. Sign in: the access token lives for 15 minutes'
token=$(call POST /v3/sessions "{\"email\": \"ann-$run@agency.example\", \"password\": \"$password\"}" | field accessToken)
echo "${token%%.*}.…"

echo '3. Make a key for scripts; it is shown once'
key=$(call POST /v3/api-keys '{"name": "quickstart", "scopes": ["subAccounts:read", "subAccounts:write",
    "containers:read", "containers:write", "commissions:read"]}' --header "Authorization: Bearer $token" |
    field key)
echo "${key%%_*}_…"

echo '4. Add a client; with an Idempotency-Key the request can be repeated when no answer comes'
client=$(call POST /v3/sub-accounts "{\"email\": \"shop-$run@example.com\", \"firstName\": \"Ada\", \"lastName\": \"Lovelace\"}" \
    --header "X-AUTH-TOKEN: $key" --header "Idempotency-Key: client-$run" | sed 's/.*"id":"\(acc_[^"]*\)".*/\1/')
echo "$client"

echo '5. Add a container for the client'
call POST /v3/containers "{\"accountId\": \"$client\", \"name\": \"shop.example.com\", \"product\": \"sgtmContainer\"}" \
    --header "X-AUTH-TOKEN: $key" --header "Idempotency-Key: container-$run"
echo

echo '6. What the agency would earn, by currency'
call GET /v3/commissions/summary '' --header "X-AUTH-TOKEN: $key"
echo

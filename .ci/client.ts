// Uses the types that openapi-typescript makes of the document, as a partner's program would: it must compile.
import type { components, operations } from "./stape-api";

type Commission = components["schemas"]["Commission"];
type Filters = NonNullable<operations["listCommissions"]["parameters"]["query"]>;
type Page = operations["listCommissions"]["responses"][200]["content"]["application/json"];
type Problem = operations["listCommissions"]["responses"][400]["content"]["application/problem+json"];

const filters: Filters = { status: ["inReview", "readyToPayout"], currency: ["USD"], limit: 100 };

export async function commissions(url: string, key: string): Promise<Commission[]> {
  const found: Commission[] = [];
  let cursor: string | null = null;
  do {
    const query = new URLSearchParams({ limit: String(filters.limit), status: (filters.status ?? []).join(",") });
    if (cursor) query.set("cursor", cursor);
    const answer = await fetch(`${url}/v3/commissions?${query}`, { headers: { "X-AUTH-TOKEN": key } });
    if (!answer.ok) {
      const problem = (await answer.json()) as Problem;
      throw new Error(`${problem.status} ${problem.code}: ${problem.detail}`);
    }
    const page = (await answer.json()) as Page;
    found.push(...page.data);
    cursor = page.nextCursor;
  } while (cursor);
  return found;
}

export function label(commission: Commission): string {
  const client: string = commission.subAccount?.email ?? "nobody";
  return `${client}: ${commission.net.amount} ${commission.net.currency}`;
}

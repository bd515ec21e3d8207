// Amounts, dates and words as people read them. Amounts stay exact: they never become floating point numbers.

const TEXTS = {
  // Statuses of commissions and payouts.
  inReview: "In review", readyToPayout: "Ready", inPayout: "In payout", paid: "Paid", reversed: "Reversed",
  noCommission: "No commission", requested: "Requested", approved: "Approved", processing: "Processing",
  canceled: "Canceled", rejected: "Rejected", failed: "Failed",
  // Products.
  sgtmContainer: "sGTM", signalsGateway: "Signals Gateway", stapeGateway: "Stape Gateway",
  metaCapiGateway: "Meta CAPI Gateway", tiktokGateway: "TikTok Gateway", snapchatGateway: "Snapchat Gateway",
  // Reasons.
  paidByManager: "You paid for it yourself", notPartnerThen: "You were not a partner yet",
  zeroBase: "Nothing was left without tax", zeroRate: "The rate was zero", roundedToZero: "Less than half a cent",
  refundReversed: "Refund taken back", writeOff: "Written off", payoutReturned: "Returned by the bank",
  // Rules of rates.
  partnerProduct: "Your own rate for this product", partnerDefault: "Your own rate",
  levelProduct: "Your level's rate for this product", levelDefault: "Your level's rate",
  // Postings.
  commissionEarned: "Earned", commissionReady: "Ready to payout", commissionReversed: "Taken back by a refund",
  refundAdjustment: "Refund after payout", operatorAdjustment: "Adjusted by Stape", payoutRequested: "Put into a payout",
  payoutReleased: "Back from a payout", payoutPaid: "Paid out",
  halfEven: "to the nearest, halves to even",
  // Methods.
  swift: "SWIFT", ach: "ACH", sepa: "SEPA", paypal: "PayPal", wise: "Wise",
};

/** A word of the API for people; unknown ones are spelled out, for the API may learn new words. */
export function words(value) {
  if (!value) return "–";
  if (Object.hasOwn(TEXTS, value)) return TEXTS[value];
  const spaced = value.replace(/([a-z0-9])([A-Z])/g, "$1 $2").toLowerCase();
  return spaced.charAt(0).toUpperCase() + spaced.slice(1);
}

/** A text of the API as a sentence of its own. */
export const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** The decimal string as a whole number of its smallest unit, and how many digits that has behind the point. */
function units(decimal) {
  const [, sign, whole, fraction = ""] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(decimal);
  return { minor: BigInt(sign + whole + fraction), digits: fraction.length };
}

/** An amount in minor units, for comparing and for drawing. */
export function minorUnits(money) {
  return units(money.amount).minor;
}

/** An amount, from its minor units, in the currency and with the digits of `like`. */
export function moneyFrom(minor, like) {
  const { digits } = units(like.amount);
  const absolute = (minor < 0n ? -minor : minor).toString().padStart(digits + 1, "0");
  const split = absolute.length - digits;
  const amount = (minor < 0n ? "-" : "") + absolute.slice(0, split) + (digits ? `.${absolute.slice(split)}` : "");
  return { amount, currency: like.currency };
}

/** An amount as people of this browser's language write it: `$1,234.50`. Exact for any number of digits. */
export function money({ amount, currency }, { signed = false } = {}) {
  const [, minus, whole, fraction = ""] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(amount);
  const shape = { style: "currency", currency, minimumFractionDigits: fraction.length, maximumFractionDigits: fraction.length };
  const parts = new Intl.NumberFormat(undefined, shape).formatToParts(BigInt(whole));
  const text = parts.map((part) => (part.type === "fraction" ? fraction : part.value)).join("");
  const isZero = /^[0.]*$/.test(whole + fraction);
  if (minus) return `\u2212${text}`;
  return signed && !isZero ? `+${text}` : text;
}

/** A short form for the axis of a chart; rounded, so never a figure that anybody relies on. */
export function axisMoney(minor, digits, currency) {
  const shape = { style: "currency", currency, notation: "compact", maximumFractionDigits: 1 };
  return new Intl.NumberFormat(undefined, shape).format(minor / 10 ** digits);
}

/** How many digits the currency of an amount has. */
export const digitsOf = (value) => units(value.amount).digits;

/** Whether the amount is zero. */
export const isZero = (value) => minorUnits(value) === 0n;

/** A whole number. */
export const count = (value) => new Intl.NumberFormat().format(value);

/** `1 container`, `2 containers`. */
export const counted = (value, noun) => `${count(value)} ${noun}${value === 1 ? "" : "s"}`;

/** A rate: `32.5 %`. */
export const percent = (rate) => `${rate}\u00a0%`;

/** The browser's time zone. */
export const timeZone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

const form = (options) => new Intl.DateTimeFormat(undefined, options);
const DAY = form({ day: "numeric", month: "short", year: "numeric" });
const MOMENT = form({ day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" });
const CALENDAR = {
  day: form({ day: "numeric", month: "short", timeZone: "UTC" }),
  week: form({ day: "numeric", month: "short", timeZone: "UTC" }),
  month: form({ month: "short", year: "2-digit", timeZone: "UTC" }),
  full: form({ day: "numeric", month: "long", year: "numeric", timeZone: "UTC" }),
  fullMonth: form({ month: "long", year: "numeric", timeZone: "UTC" }),
};

/** The day of a moment, in the browser's time zone. */
export const day = (moment) => (moment ? DAY.format(new Date(moment)) : "–");

/** A moment, in the browser's time zone. */
export const dateTime = (moment) => (moment ? MOMENT.format(new Date(moment)) : "–");

/** A calendar date of the API (`2026-01-31`), which is a day in the asked time zone already. */
export function calendarDate(date, shape = "day") {
  return CALENDAR[shape].format(new Date(`${date}T00:00:00Z`));
}

/** What a point of a time series covers. */
export function periodName(date, interval) {
  if (interval === "month") return calendarDate(date, "fullMonth");
  return interval === "week" ? `Week of ${calendarDate(date, "full")}` : calendarDate(date, "full");
}

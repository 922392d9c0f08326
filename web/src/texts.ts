// Texts in the language of the page, which hands them over; a text that it lacks stays English.
interface Texts {
  language?: string;
  texts?: Record<string, string>;
  forms?: Record<string, string[]>;
  which?: Record<string, number[]>;
}
type Values = Record<string, string | number>;

const given = JSON.parse(document.body.dataset["texts"] ?? "{}") as Texts;

function filled(text: string, values: Values): string {
  return text.replace(/%\((\w+)\)s/g, (place, name: string) => String(values[name] ?? place)).replace(/%%/g, "%");
}

export function text(english: string, values: Values = {}): string {
  return filled(given.texts?.[english] || english, values);
}

// The form of a text that belongs to a count; `which` goes to 200, and beyond it the last two digits decide.
export function plural(one: string, many: string, count: number): string {
  const number = count > 200 ? 100 + (count % 100) : count;
  const form = given.forms?.[one]?.[given.which?.[one]?.[number] ?? -1];
  return filled(form || (count === 1 ? one : many), { count });
}

// A number with the decimal sign of the language; English as it always was.
export function decimal(value: number, digits: number): string {
  if (given.language === undefined) return value.toFixed(digits);
  const style = { minimumFractionDigits: digits, maximumFractionDigits: digits, useGrouping: false };
  return value.toLocaleString(given.language, style);
}

import { UnknownJinja } from '../jinja/python/values.ts';

const MONTHS = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
];
const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];

const DAY_MILLISECONDS = 24 * 60 * 60 * 1000;

/**
 * Python's `strftime` for the directives below, in UTC and English, so that the text is the same on every
 * machine. `%-d` is a number without leading zeros.
 *
 * @throws UnknownJinja for another directive
 */
export function strftime(date: Date, format: string): string {
  const numbers = numberDirectives(date);
  const texts = textDirectives(date);
  return format.replace(/%(-?)([^]?)/g, (whole, minus: string, letter: string) => {
    if (letter === '') return whole; // a single % at the end
    const number = numbers.get(letter);
    if (number) return String(number.value).padStart(minus ? 0 : number.width, '0');
    const text = minus ? undefined : texts.get(letter);
    if (text === undefined) throw new UnknownJinja(`Unknown directive of strftime_now: ${whole}`);
    return text;
  });
}

interface PaddedNumber {
  readonly value: number;
  readonly width: number;
}

function numberDirectives(date: Date): ReadonlyMap<string, PaddedNumber> {
  const hours = date.getUTCHours();
  const newYear = Date.UTC(date.getUTCFullYear(), 0);
  return new Map([
    ['y', { value: date.getUTCFullYear() % 100, width: 2 }],
    ['m', { value: date.getUTCMonth() + 1, width: 2 }],
    ['d', { value: date.getUTCDate(), width: 2 }],
    ['j', { value: Math.floor((date.getTime() - newYear) / DAY_MILLISECONDS) + 1, width: 3 }],
    ['H', { value: hours, width: 2 }],
    ['I', { value: hours % 12 || 12, width: 2 }],
    ['M', { value: date.getUTCMinutes(), width: 2 }],
    ['S', { value: date.getUTCSeconds(), width: 2 }],
  ]);
}

function textDirectives(date: Date): ReadonlyMap<string, string> {
  const month = MONTHS[date.getUTCMonth()];
  const day = DAYS[date.getUTCDay()];
  return new Map([
    ['Y', String(date.getUTCFullYear())],
    ['e', String(date.getUTCDate()).padStart(2)],
    ['p', date.getUTCHours() < 12 ? 'AM' : 'PM'],
    ['B', month],
    ['b', month.slice(0, 3)],
    ['A', day],
    ['a', day.slice(0, 3)],
    ['%', '%'],
  ]);
}

/** Texts for the parity gate when no data is given: short and long, single and in pairs, many scripts. */
import type { Example } from 'kdx/data';

type Text = Pick<Example, 'text' | 'pair'>;

const paragraph =
  'The train left the coast before sunrise, and for an hour nobody in the carriage said a word. A woman by the ' +
  'window counted the bridges on her fingers; a boy drew the conductor with a moustache he did not have. When the ' +
  'fog lifted, the valley lay open like a map: barns, orchards, a river that could not decide where to go. Somebody ' +
  'shared bread, somebody else complained about the price of it, and by noon they were all telling each other what ' +
  'they would do with a house this close to the mountains.';

export const paritySentences: readonly Text[] = [
  { text: '' },
  { text: '.' },
  { text: 'Fine' },
  { text: 'not bad at all' },
  { text: 'I would rather clean the oven than watch this again.' },
  { text: 'A quiet, generous film that trusts its audience, and is right to.' },
  { text: 'The battery lasts two days; the screen, sadly, lasted only one.' },
  { text: 'Great. Another update that breaks the printer.' },
  { text: 'Who ordered 3 × 4.5 kg of flour for $12.99, and why on 29/02?' },
  { text: 'ALL CAPITALS, MUCH EXCITEMENT!!! 100% REAL!!!' },
  { text: 'Le café était fermé, mais la crêperie d’à côté nous a sauvés.' },
  { text: 'Die Straße war gesperrt, trotzdem kamen wir pünktlich über die Brücke.' },
  { text: 'Поезд опоздал на час, зато чай был горячим.' },
  { text: '这部电影比我想象的好得多。' },
  { text: 'この店のラーメンは最高でした。' },
  { text: 'الخدمة سريعة والطعام لذيذ' },
  { text: 'five stars ⭐⭐⭐⭐⭐ would eat here again 🍜👍' },
  { text: 'https://example.org/reviews?id=42&sort=desc says otherwise (see footnote #7).' },
  { text: 'pneumonoultramicroscopicsilicovolcanoconiosis is a word nobody needs in a review' },
  { text: 'tabs\tand\nline breaks   and    too many spaces' },
  { text: paragraph },
  { text: `${paragraph} ${paragraph} ${paragraph}` },
  { text: 'Is it open?', pair: 'Not today.' },
  { text: 'A man is playing a guitar on stage.', pair: 'Someone performs music in front of people.' },
  { text: 'Is the museum open on Mondays?', pair: 'The museum closes at six from Tuesday to Sunday.' },
  { text: 'Yes.', pair: paragraph },
  { text: paragraph, pair: 'They were travelling by train.' },
];

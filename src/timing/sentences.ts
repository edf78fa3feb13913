/** Sentences to measure with when no data is given. */
export const sentences: readonly string[] = [
  'the first half drags, but the second makes up for it with warmth and a fine joke about goats.',
  'I ordered two lamps in March and received one curtain in June.',
  'her performance is quiet, exact, and impossible to look away from.',
  'nobody answered the phone, nobody answered the letter, and the shop is now a bakery.',
  'the soup was hot, the waiter was kind, and the view over the harbour was worth the climb.',
  'it runs for nine hours on one charge, which is about eight hours more than the old one.',
  'a clumsy plot and a cast that seems to be waiting for the bus.',
  'we read the manual twice and still built the shelf upside down.',
  'the translation keeps the rhythm of the original and most of its mischief.',
  'after the update the clock is right and everything else is wrong.',
  'small rooms, thin walls, excellent coffee.',
  'what begins as a lecture on rivers ends as the funniest hour of the festival.',
];

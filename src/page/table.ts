/** A table of a report, the same for Markdown and for a page. */

export interface TableCell {
  readonly text: string;
  /** Where its number is in the report: `students.0.latencyMs.p50`. */
  readonly path?: string;
  /** A second, smaller line, on a page only. */
  readonly note?: string;
  /** Colours the note. */
  readonly mark?: 'better' | 'worse';
}

export interface ReportTable {
  readonly title: string;
  /** The first column has names, the others numbers. */
  readonly columns: readonly string[];
  readonly rows: readonly (readonly TableCell[])[];
}

/** JSON values, the only values that hard state holds. */

export type Json = string | number | boolean | null | { readonly [key: string]: Json } | readonly Json[];

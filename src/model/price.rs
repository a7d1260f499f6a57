//! What tokens cost, by a dated table.

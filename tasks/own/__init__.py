"""Tasks that a campaign's file defines: networks of other packages, images of one's own, a protocol."""

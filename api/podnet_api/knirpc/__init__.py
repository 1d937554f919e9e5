"""The KNI proto and the code generated from it (`make generate`)."""

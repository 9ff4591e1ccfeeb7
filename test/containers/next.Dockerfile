# The next version of an image, as far as a rolling update is concerned: another image.
ARG TENURE
FROM ${TENURE}
LABEL tenure.test=next

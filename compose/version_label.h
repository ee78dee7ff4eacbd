/* compose/version_label.h: what com.docker.compose.version says on our containers: the
 * version of Docker Compose whose behaviour they follow. */
#ifndef COMPOSE_VERSION_LABEL_H
#define COMPOSE_VERSION_LABEL_H

#define COMPOSE_VERSION_LABEL "2.40.0"

#endif

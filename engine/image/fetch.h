/* engine/image/fetch.h: what comp and comp-fetch say to each other.  Both come from
 * one build.
 *
 * comp-fetch has one SOCK_SEQPACKET socket, descriptor 3.  A message is one JSON
 * object, descriptors beside it.  It is a client of the distribution API
 * (opencontainers/distribution-spec) and no more: it decides nothing about images,
 * and comp believes none of the bytes it hands over before their digest was taken.
 *
 * Requests:
 *	{"op":"setup", "timeout":S}
 *	{"op":"endpoint", "n":N, "url":…, "insecure":…, "user":…, "secret":…, "identity":…,
 *	 "token":…, "source":…, "certs":["ca","cert","key"]}	memfds, in that order
 *	{"op":"get", "id":I, "endpoint":N, "repo":…, "path":"blobs/sha256:…", "head":…,
 *	 "max":BYTES, "actions":"pull", "resume":true}	the pipe that takes the body
 *	{"op":"upload", "id":I, "endpoint":N, "repo":…, "digest":…, "size":…,
 *	 "from":…}	the file; from: a repository that may have it
 *	{"op":"put", "id":I, …, "path":"manifests/TAG", "type":…, "size":…}	the file
 *	{"op":"check", "id":I, "endpoint":N}		would the credentials do?
 *	{"op":"cancel", "id":I}
 *
 * Answers:
 *	{"id":I, "event":"sent", "bytes":N}		an upload at work
 *	{"id":I, "event":"retry", "text":…, "delay":MS}
 *	{"id":I, "event":"done", "status":200, "type":…, "digest":…, "size":…, "exists":…}
 *	{"id":I, "event":"error", "code":ERRNO, "status":…, "text":…, "hint":…}
 *
 * The last of an id is done or error; a body's pipe is closed before that.
 */
#ifndef ENGINE_IMAGE_FETCH_H
#define ENGINE_IMAGE_FETCH_H

#define FETCH_SOCKET_FD   3
#define FETCH_MESSAGE_MAX 65536
#define FETCH_ENDPOINTS   64 /* at most */
#define FETCH_CALLS       64 /* at once, at most */

#endif

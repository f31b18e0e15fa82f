/* The transfers that are always under way while a stick is open. */
#ifndef DRIVER_STREAMS_H
#define DRIVER_STREAMS_H

struct opened;

void start_streams(struct opened *stick);
void stop_streams(struct opened *stick);

#endif

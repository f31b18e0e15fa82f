#include "endings.h"

#include <stdlib.h>

void prepare_endings(struct endings *endings)
{
    *endings = (struct endings){.poked = false};
    endings->last = &endings->first;
    pthread_mutex_init(&endings->lock, NULL);
    pthread_cond_init(&endings->changed, NULL);
}

struct ending *expect(struct endings *endings, enum ended what)
{
    struct ending *ending = calloc(1, sizeof *ending);
    ending->endings = endings;
    ending->what = what;
    return ending;
}

void on_end(void *user, enum libusb_transfer_status status, size_t length)
{
    struct ending *ending = user;
    struct endings *endings = ending->endings;
    ending->status = status;
    ending->length = length;
    pthread_mutex_lock(&endings->lock);
    *endings->last = ending;
    endings->last = &ending->next;
    pthread_cond_signal(&endings->changed);
    pthread_mutex_unlock(&endings->lock);
}

struct ending *next_ending(struct endings *endings)
{
    pthread_mutex_lock(&endings->lock);
    struct ending *ending = endings->first;
    if (ending != NULL)
        endings->first = ending->next;
    if (endings->first == NULL)
        endings->last = &endings->first;
    pthread_mutex_unlock(&endings->lock);
    return ending;
}

void wait_for_ending(struct endings *endings)
{
    pthread_mutex_lock(&endings->lock);
    while (endings->first == NULL && !endings->poked)
        pthread_cond_wait(&endings->changed, &endings->lock);
    endings->poked = false;
    pthread_mutex_unlock(&endings->lock);
}

void poke(struct endings *endings)
{
    pthread_mutex_lock(&endings->lock);
    endings->poked = true;
    pthread_cond_signal(&endings->changed);
    pthread_mutex_unlock(&endings->lock);
}
